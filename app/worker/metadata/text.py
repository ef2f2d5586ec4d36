"""Text from metadata, made safe to store and to show."""

import unicodedata
from typing import Final

from app.worker.jobs import MAX_TEXT

#: Characters of one notice that a variant keeps.
MAX_NOTICE: Final = 2_000
# Control and format characters, surrogates and private use. Characters of newer Unicode versions are kept.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co"})


def plain_text(value: object, limit: int = MAX_TEXT) -> str | None:
    """Return the text of a tag as one line: see `to_line`."""
    return to_line(as_text(value) or "", limit)


def to_line(text: str, limit: int = MAX_TEXT) -> str | None:
    """Return at most `limit` characters up to the first NUL, without control characters; None for blanks."""
    text = unicodedata.normalize("NFC", text.split("\0", 1)[0][: 4 * limit])
    text = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in _UNSAFE)
    return " ".join(text.split())[:limit].strip() or None


def as_text(value: object) -> str | None:
    """Return the text of a tag unchanged; None if it is not a text."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        return decode_text(value)
    return _reread(value) if isinstance(value, str) else None


def decode_text(value: bytes) -> str:
    """Decode UTF-8, or Latin-1 if it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _reread(value: str) -> str:
    """Decode UTF-8 that was read as Latin-1, as Pillow reads ASCII tags."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
