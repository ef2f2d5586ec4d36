"""Start and end of the parts of an image file, read as loosely as a mutated file needs it."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

#: Boxes that hold others, and bytes before those.
_CONTAINERS = {
    b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"dinf": 0,
    b"iinf": 6, b"iref": 4, b"stsd": 8, b"grpl": 0,
}  # fmt: skip
#: Types of boxes and items that may stand in each other's place.
BOX_TYPES = (
    b"ispe", b"pixi", b"colr", b"clap", b"irot", b"imir", b"av1C", b"hvcC", b"auxC", b"clli", b"mdcv", b"lsel", b"a1op",
    b"dimg", b"auxl", b"thmb", b"cdsc", b"prem", b"av01", b"hvc1", b"grid", b"iden", b"iovl", b"tmap", b"Exif", b"mime",
    b"free", b"meta", b"idat", b"iref", b"iloc", b"ipma", b"mini", b"stsd", b"stsz", b"stco", b"nclx", b"prof",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A stretch of the file with a length field in its head; `body_at` is where its own numbers begin."""

    start: int
    end: int
    length_at: int
    length_bytes: int
    body_at: int
    order: Literal["big", "little"] = "big"


def parts_of(data: bytes) -> list[Part]:
    """The parts of an image of any kind, or none."""
    exif = data.find(b"Exif\0\0") + 6
    parts: Iterable[Part] = ()
    if data.startswith(b"\x89PNG"):
        parts = (Part(at, at + 12 + size, at, 4, at + 8) for at, size in chunks_of_png(data))
    elif data.startswith(b"\xff\xd8"):
        parts = (*_segments(data), *_entries(data, exif))
    elif data[:4] == b"RIFF":
        parts = _riff(data)
    elif data[4:8] == b"ftyp":
        parts = (*_boxes(data, 0, len(data)), *_entries(data, exif))
    elif data[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        parts = _entries(data, 0)
    elif data[:2] == b"BM":
        parts = _fields(data)
    elif data[:3] == b"GIF":
        parts = _blocks(data)
    return list(parts)


def chunks_of_png(data: bytes) -> list[tuple[int, int]]:
    """Offset of each chunk, and length of its body."""
    found = []
    at = 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((at, size))
        at += 12 + size
    return found


def _segments(data: bytes) -> Iterator[Part]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        yield Part(at, at + 2 + size, at + 2, 2, at + 4)
        if data[at + 1] == 0xDA:
            return
        at += 2 + size


def _riff(data: bytes) -> Iterator[Part]:
    yield Part(0, 12, 4, 4, 8, "little")
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield Part(at, at + 8 + size + size % 2, at + 4, 4, at + 8, "little")
        at += 24 if data[at : at + 4] == b"ANMF" else 8 + size + size % 2


def _boxes(data: bytes, at: int, end: int) -> Iterator[Part]:
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > end:
            return
        yield Part(at, at + size, at, 4, at + 8)
        kind = data[at + 4 : at + 8]
        if kind in _CONTAINERS:
            inner = at + 8 + _CONTAINERS[kind]
            yield from _boxes(data, inner, at + size)
        at += size


def _entries(data: bytes, base: int) -> Iterator[Part]:
    """The entries of a TIFF's or an EXIF block's directories; the count of an entry is its length."""
    if base < 6 and data[:2] not in {b"II", b"MM"}:
        return
    little, big = data[base : base + 2] == b"II", b"+" in data[base + 2 : base + 4]
    sign, order = ("<", "little") if little else (">", "big")
    wide, count, width = ("Q", "Q", 20) if big else ("I", "H", 12)
    try:
        (at,) = struct.unpack_from(sign + wide, data, base + (8 if big else 4))
        for _ in range(4):
            (entries,) = struct.unpack_from(sign + count, data, base + at)
            first = base + at + struct.calcsize(count)
            for entry in range(min(entries, 64)):
                start = first + width * entry
                yield Part(start, start + width, start + 4, 4, start, order)  # type: ignore[arg-type]
            (at,) = struct.unpack_from(sign + wide, data, first + width * entries)
            if not at:
                return
    except (struct.error, OverflowError):
        return


def _fields(data: bytes) -> Iterator[Part]:
    """The numbers of a BMP's headers, each a part of four bytes."""
    for at in range(2, min(len(data) - 4, 14 + 124), 4):
        yield Part(at, at + 4, at, 4, at, "little")


def _blocks(data: bytes) -> Iterator[Part]:
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 13 and data[10] & 0x80 else 0)
    while at + 11 < len(data):
        start = at
        if data[at] == 0x2C:
            at += 11 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 0x80 else 0)
        elif data[at] == 0x21:
            at += 2
        else:
            return
        first = at
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
        yield Part(start, at, first, 1, start + 1)
