"""Properties of XMP, found by search: packets are often malformed XML, and entities can be bombs.

Pillow's `getxmp` needs well-formed XML and the package defusedxml.
"""

import html
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from app.worker.metadata.text import decode_text

_MOST_BYTES: Final = 1 << 20
#: Characters of one property, and properties of one name that are read.
_MOST_CHARACTERS: Final = 20_000
_MOST_FOUND: Final = 50

_MARKUP: Final = re.compile(r"<[^<>]*>?")
_ITEM: Final = re.compile(r"<rdf:li([^<>]{0,200})>([^<>]*)")


def decode_packet(data: object) -> str:
    """Decode a packet: mostly UTF-8, but UTF-16 and UTF-32 are allowed (XMP part 1, section 7.1)."""
    if isinstance(data, str):
        return data[:_MOST_BYTES]
    if not isinstance(data, bytes):
        return ""
    data = data[:_MOST_BYTES]
    start, head = data.find(b"<"), data[:64]
    if start < 0 or b"\0" not in head:
        return decode_text(data)
    wide = 4 if b"\0\0\0<" in head or b"<\0\0\0" in head else 2
    order = "le" if start % wide == 0 else "be"
    return data.decode(f"utf-{8 * wide}-{order}", "replace")


def has_text(text: str, name: str) -> bool:
    """Return True if a property exists and has text. `name` may omit the namespace and the beginning of the name."""
    return any(_MARKUP.sub("", value).strip() for value in _values(text, name))


def read_items(text: str, name: str) -> list[str]:
    """Return the items of a property: all of a list, the default one of translations."""
    for value in _values(text, name):
        found = [(about, html.unescape(item)) for about, item in _ITEM.findall(value)]
        if chosen := [item for about, item in found if "x-default" in about]:
            return chosen[:1]
        plain = [item for _, item in found] or [html.unescape(_MARKUP.sub("", value))]
        if any(item.strip() for item in plain):
            return plain
    return []


def _values(text: str, name: str) -> Iterator[str]:
    """Yield the value in quotes after the name, or the content of the element."""
    if name not in text:  # each image has a new process, in which compiling a pattern takes longer than finding nothing
        return
    start, at = _start(name), 0
    for _ in range(_MOST_FOUND):
        found = start.search(text, at)
        if not found:
            return
        at = found.end()
        if found[1] is not None:
            yield found[1][1:]
        elif not found[0].endswith("/>"):
            first, at = at, text.find(f"{name}>", at, at + _MOST_CHARACTERS)
            at = at if at >= 0 else first + _MOST_CHARACTERS
            yield text[first:at]
            at += len(name) + 1


@cache
def _start(name: str) -> re.Pattern[str]:
    """Build the pattern of an attribute with its value, or of the start tag of an element."""
    quoted = rf"\"[^\"<]{{0,{_MOST_CHARACTERS}}}|'[^'<]{{0,{_MOST_CHARACTERS}}}"
    return re.compile(rf"{re.escape(name)}(?:\s{{0,20}}+=\s{{0,20}}+({quoted})|(?:\s[^<>]{{0,200}}+)?/?>)")
