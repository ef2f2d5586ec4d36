"""Normalization of text for storage and display, and sentences about values that are not valid."""

import re
import unicodedata

# Format characters (Cf) are invisible. They change the direction of the text around them, hide parts of it, or make
# different texts look the same. These three kinds are part of the text and are kept.
_JOINERS = "\u200c\u200d"  # inside emoji, and in Persian and Indic text
_MARKS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")  # visible
_SUBDIVISION_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
_LINE_BREAKS = re.compile(r"[\t\r\n\v\f\x1c-\x1f\x85\u2028\u2029]+")
# Letters of ASCII need no joiner between them.
_STRAY_JOINERS = re.compile(f"(?:(?<=[\\x00-\\x7f])|^)[{_JOINERS}]+|[{_JOINERS}]+(?=[\\x00-\\x7f]|$)")
_RUN_OF_JOINERS = re.compile(f"[{_JOINERS}]+(?=[{_JOINERS}])")


#: Messages of pydantic, and what they become.
_PLAIN_MESSAGES = (
    (r"^Value error, ", ""),
    (r"^Input should be greater than or equal to ", "must be at least "),
    (r"^Input should be less than or equal to ", "must be at most "),
    (r"^Input should be a valid integer\b.*", "must be a whole number"),
    (r"^Input should be a valid number\b.*", "must be a number"),
    (r"^Input should be a valid boolean\b.*", "must be true or false"),
    (r"^(Input|String|Value|List|Tuple) should ", "must "),
    (r" after validation\b.*", ""),
)


def plain_message(message: str) -> str:
    """Return a message of pydantic about a value as other errors say it: "must be at least 1"."""
    for pattern, plain in _PLAIN_MESSAGES:
        message = re.sub(pattern, plain, message)
    return message


def without_format_characters(text: str) -> str:
    """Remove invisible format characters, such as bidirectional controls, zero-width characters and byte order marks.

    Kept are joiners between characters other than ASCII, the number and verse signs of Arabic and its relatives, and
    the letters in the flags of England, Scotland, Wales and other parts of countries.
    """
    if text.isascii():
        return text
    text = "".join(_kept(text))
    return _STRAY_JOINERS.sub("", _RUN_OF_JOINERS.sub("", text))


def _kept(text: str) -> list[str]:
    flags = [found.span() for found in _SUBDIVISION_FLAG.finditer(text)]
    in_flags = {at for start, end in flags for at in range(start, end)}
    return [
        character
        for at, character in enumerate(text)
        if character in _JOINERS or character in _MARKS or at in in_flags or unicodedata.category(character) != "Cf"
    ]


def normal_text(text: str) -> str:
    """Return the text in its stored form: one line in NFC, trimmed, without format characters.

    Limit its length first: the time of normalization grows with the square of the marks on a letter.
    """
    text = _LINE_BREAKS.sub(" ", without_format_characters(text)).strip()
    return unicodedata.normalize("NFC", text)


def shown(text: str) -> str:
    """Return one line of text for a response, without format characters, control characters and lone surrogates."""
    text = without_format_characters(text)
    return "".join(c for c in text if unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"})
