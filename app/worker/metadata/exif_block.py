"""Directories of an EXIF block (Exif 3.0, TIFF 6.0), read entry by entry. A broken entry does not affect the others."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

Tags = Mapping[int, Any]

_HEADERS: Final = {b"II*\0": "<", b"MM\0*": ">"}
#: Bytes in which the TIFF header is searched: some files have the prefix twice, or a wrong one.
_SEARCHED: Final = 256
_MOST_ENTRIES: Final = 1_000
_MOST_BYTES: Final = 1 << 16
#: Types of numbers. The other types are texts and bytes: BYTE, ASCII, UNDEFINED, and UTF-8 since Exif 3.0.
_NUMBERS: Final = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_RATIONALS: Final = {5: "I", 10: "i"}
_BYTES: Final = frozenset({1, 2, 7, 129})
_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005


@dataclass(frozen=True)
class Entry:
    """One entry of a directory. `value` is its last four bytes: the value or its offset."""

    tag: int
    kind: int
    count: int
    value: bytes


@dataclass(frozen=True)
class ExifBlock:
    """Tags by number, in the directories of the image, the photograph, GPS, the thumbnail and interoperability.

    Texts are bytes, numbers are scalars or tuples, rationals are fractions.
    """

    main: Tags = field(default_factory=dict)
    photo: Tags = field(default_factory=dict)
    gps: Tags = field(default_factory=dict)
    thumbnail: Tags = field(default_factory=dict)
    interoperability: Tags = field(default_factory=dict)


def tiff_block(data: object) -> bytes:
    """Return an EXIF block from its TIFF header on; no bytes if it has none."""
    if not isinstance(data, bytes):
        return b""
    places = [at for mark in _HEADERS if (at := data[:_SEARCHED].find(mark)) >= 0]
    return data[min(places) :] if places else b""


def read_block(block: bytes) -> ExifBlock:
    """Read all tags of a block that begins with its TIFF header, except broken ones."""
    order = _HEADERS.get(block[:4])
    if order is None or len(block) < 8:
        return ExifBlock()
    first = _number(block, order, 4)
    main = _tags(block, order, first)
    photo = _tags(block, order, main.get(_EXIF))
    following = first + 2 + 12 * (_number(block, order, first, 2) or 0)
    return ExifBlock(
        main,
        photo,
        _tags(block, order, main.get(_GPS)),
        _tags(block, order, _number(block, order, following) or None),
        _tags(block, order, photo.get(_INTEROPERABILITY)),
    )


def entries(block: bytes, at: int | None = None) -> Iterator[Entry]:
    """Yield the entries of the directory at that offset, or of the first one, as far as they are in the block."""
    order = _HEADERS.get(block[:4])
    if order is None or len(block) < 8:
        return
    start = _number(block, order, 4) if at is None else at
    count = min(_number(block, order, start, 2), _MOST_ENTRIES)
    for place in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        yield Entry(*struct.unpack_from(f"{order}HHI4s", block, place))


def _tags(block: bytes, order: str, at: object) -> dict[int, Any]:
    """Return the first readable value of each tag."""
    found: dict[int, Any] = {}
    for entry in entries(block, at) if isinstance(at, int) else ():
        value = _value(block, order, entry)
        if value is not None:
            found.setdefault(entry.tag, value)
    return found


def _value(block: bytes, order: str, entry: Entry) -> Any:
    form = _NUMBERS.get(entry.kind) or _RATIONALS.get(entry.kind, "B")
    if form == "B" and entry.kind not in _BYTES:
        return None
    width = struct.calcsize(form) * (2 if entry.kind in _RATIONALS else 1)
    if entry.count * width <= 4:
        data = entry.value[: entry.count * width]
    else:
        at = struct.unpack(f"{order}I", entry.value)[0]
        data = block[at : at + min(entry.count * width, _MOST_BYTES)]
    if entry.kind in _BYTES:
        return data or None
    data = data[: len(data) // width * width]
    parts = struct.unpack(f"{order}{len(data) // struct.calcsize(form)}{form}", data)
    if entry.kind in _RATIONALS:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = tuple(Fraction(above, below) if below else float("nan") for above, below in pairs)
    return parts[0] if len(parts) == 1 else parts or None


def _number(block: bytes, order: str, at: int, size: int = 4) -> int:
    """Return the number at that offset, 0 beyond the end."""
    return int.from_bytes(block[at : at + size], "little" if order == "<" else "big") if at + size <= len(block) else 0
