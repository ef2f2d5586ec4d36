"""Client file names, made safe for display. No object is named by one."""

import re
import unicodedata
from urllib.parse import quote

from app.domain.text import without_format_characters

MAX_BYTES = 255
# The time of normalization grows with the square of the marks on a letter, so long names are cut before it.
_HEAD, _TAIL = 1024, 64

# Control characters, lone surrogates, private use, and separators of lines and paragraphs. Code points that this
# interpreter's version of Unicode does not know are kept: they may be newer emoji.
_UNSAFE = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})


def display_name(name: str | None) -> str | None:
    """Return the base name in NFC without control, format or surrogate characters, at most 255 bytes of UTF-8.

    None if nothing is left. A cut keeps an extension of up to 15 characters.
    """
    if not name:
        return None
    base = re.split(r"[/\\]", name.replace("\0", "").rstrip("/\\"))[-1]
    if len(base) > _HEAD + _TAIL:
        base = base[:_HEAD] + base[-_TAIL:]
    base = "".join(c for c in base if unicodedata.category(c) not in _UNSAFE and not _is_noncharacter(c))
    base = unicodedata.normalize("NFC", without_format_characters(base)).strip()
    if not base.strip(". "):
        return None
    return _cut(base)


def _is_noncharacter(character: str) -> bool:
    point = ord(character)
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    tail = f".{ending}" if stem and dot and len(ending) <= 15 and len(ending.encode()) <= 60 else ""
    head = name.removesuffix(tail) if tail else name
    left = MAX_BYTES - len(tail.encode())
    return head.encode()[:left].decode(errors="ignore").rstrip() + tail


def attachment(name: str | None) -> str:
    """Return a `Content-Disposition` that saves under this name: RFC 6266, with an ASCII name for old clients."""
    if name is None:
        return "attachment"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%;' else "_" for c in name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
