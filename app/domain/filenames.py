"""Client file names, made safe to show. They name nothing in any store."""

import re
import unicodedata
from urllib.parse import quote

MAX_BYTES = 255
# Normalising takes time by the square of the marks on a letter: what is sure to be cut goes before.
_HEAD, _TAIL = 1024, 64

# Cc, Cf (bidirectional controls, zero-width characters, BOM), Cs (lone surrogates), Co, Cn, Zl, Zp.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # inside emoji sequences, Persian and Indic scripts


def display_name(name: str | None) -> str | None:
    """The base name in NFC without control, direction or surrogate characters, at most 255 bytes of UTF-8.

    None when nothing is left of it. An ending of up to 15 characters survives a cut.
    """
    if not name:
        return None
    base = re.split(r"[/\\]", name.replace("\0", "").rstrip("/\\"))[-1]
    if len(base) > _HEAD + _TAIL:
        base = base[:_HEAD] + base[-_TAIL:]
    base = unicodedata.normalize("NFC", base)
    kept = (c for c in base if c in _JOINERS or unicodedata.category(c) not in _UNSAFE)
    base = "".join(kept).strip().strip("\u200c\u200d")
    if not base.strip(". "):
        return None
    return _cut(base)


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    tail = f".{ending}" if stem and dot and len(ending) <= 15 and len(ending.encode()) <= 60 else ""
    head = name.removesuffix(tail) if tail else name
    room = MAX_BYTES - len(tail.encode())
    return head.encode()[:room].decode(errors="ignore").rstrip() + tail


def attachment(name: str | None) -> str:
    """A `Content-Disposition` that saves under this display name: RFC 6266, with an ASCII name for old clients."""
    if name is None:
        return "attachment"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%;' else "_" for c in name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
