"""Text from a picture's metadata, made safe to store and to show."""

import unicodedata
from typing import Final

from app.worker.jobs import MAX_TEXT

#: What a variant keeps of one notice: whole, unless it is a book.
MAX_NOTICE: Final = 2_000
# Control and format characters, surrogates and private use. What this interpreter's Unicode does not know stays.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co"})


def plain(value: object, limit: int = MAX_TEXT) -> str | None:
    """What a tag says, as one line: see `line`."""
    return line(as_text(value) or "", limit)


def line(text: str, limit: int = MAX_TEXT) -> str | None:
    """At most `limit` characters up to the first NUL, without control characters; None for blanks."""
    text = unicodedata.normalize("NFC", text.split("\0", 1)[0][: 4 * limit])
    text = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in _UNSAFE)
    return " ".join(text.split())[:limit].strip() or None


def as_text(value: object) -> str | None:
    """The characters of a tag as it is in the file, or None if it is none of text."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        return decoded(value)
    return _reread(value) if isinstance(value, str) else None


def decoded(value: bytes) -> str:
    """As UTF-8, or as Latin-1 where it is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _reread(value: str) -> str:
    """UTF-8 that was read as Latin-1, which is how Pillow reads ASCII tags."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
