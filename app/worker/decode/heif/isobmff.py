"""Boxes of HEIC and AVIF files (ISO/IEC 14496-12), read leniently.

They hold what the decoders do not report: properties of the primary image, and metadata that the decoders refuse. Of a
broken file the readable part is returned.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from app.worker.decode.heif import mini_box
from app.worker.decode.heif.items import CODED, Container, Item, Property

#: Bytes of `meta` and of `moov` that are read, and top-level boxes that are visited.
_MOST_BYTES: Final = 1 << 20
_MOST_BOXES: Final = 1_000
#: Entries of one table. libheif's default limit is 1,000 items.
_MOST_ENTRIES: Final = 70_000
#: Bytes of a VisualSampleEntry before its boxes.
_SAMPLE_ENTRY: Final = 78


def read_container(path: Path) -> Container:
    """Parse the file's boxes; an empty container if it has none."""
    try:
        with path.open("rb") as file:
            return _parsed(file, path)
    except (OSError, struct.error, LookupError, ValueError):
        return Container()


def boxes(data: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and body of each box. A truncated box ends the run."""
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            return
        yield kind, data[at + head : at + size]
        at += size


def _parsed(file: IO[bytes], path: Path) -> Container:
    size = path.stat().st_size
    top = _top_level(file, size)
    nothing = (b"", 0)
    brand, _ = top.get(b"ftyp", nothing)
    meta = dict(reversed(list(boxes(top.get(b"meta", nothing)[0], 4))))
    pitm = meta.get(b"pitm", b"")
    items, primary = _items(meta), int.from_bytes(pitm[4 : 8 if pitm[:1] > b"\0" else 6]) if len(pitm) >= 6 else None
    if b"meta" not in top and b"mini" in top:
        items, primary = mini_box.read_items(*top[b"mini"], codec=brand[4:8]), 1
    return Container(
        path,
        brands=[brand[:4], *(brand[at : at + 4] for at in range(8, min(len(brand), 4096) - 3, 4))],
        primary=primary,
        items=items,
        idat=meta.get(b"idat", b""),
        frame=_first_frame(top.get(b"moov", nothing)[0]),
        size=size,
    )


def _top_level(file: IO[bytes], size: int) -> dict[bytes, tuple[bytes, int]]:
    """Read the first `ftyp`, `meta`, `mini` and `moov` of the file, with their offsets."""
    found: dict[bytes, tuple[bytes, int]] = {}
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        length, kind, start = int.from_bytes(head[:4]), head[4:8], 8
        if length == 1:
            length, start = int.from_bytes(head[8:16]), 16
        elif length == 0:
            length = size - at
        if len(head) < 8 or length < start:
            break
        if kind in {b"ftyp", b"meta", b"mini", b"moov"} and kind not in found:
            file.seek(at + start)
            found[kind] = file.read(min(length - start, _MOST_BYTES)), at + start
        at += length
    return found


def _items(meta: Mapping[bytes, bytes]) -> dict[int, Item]:
    places = _locations(meta.get(b"iloc", b""))
    properties = _properties(meta.get(b"iprp", b""))
    refs = _references(meta.get(b"iref", b""))
    items = {}
    for number, kind, content in _infos(meta.get(b"iinf", b"")):
        method, extents = places.get(number, (0, []))
        items[number] = Item(number, kind, content, method, extents, properties.get(number, ()), refs.get(number, {}))
    return items


def _infos(iinf: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, type and content type of each item (14496-12, section 8.11.6)."""
    for kind, body in boxes(iinf, 6 if iinf[:1] == b"\0" else 8):
        if kind != b"infe" or body[:1] not in {b"\2", b"\3"}:
            continue
        at = 6 if body[:1] == b"\2" else 8
        strings = body[at + 6 :].split(b"\0", 2)
        yield int.from_bytes(body[4:at]), body[at + 2 : at + 6], strings[1] if len(strings) > 1 else b""


def _locations(iloc: bytes) -> dict[int, tuple[int, list[tuple[int, int]]]]:
    """Read construction method and extents of each item (14496-12, section 8.11.3)."""
    found: dict[int, tuple[int, list[tuple[int, int]]]] = {}
    reader = _Reader(iloc)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    budget = _MOST_ENTRIES
    for _ in range(min(reader.number(4 if version == 2 else 2), _MOST_ENTRIES)):
        number = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # data_reference_index
        base, extents = reader.number(base_bytes), reader.number(2)
        places = []
        for _ in range(min(extents, budget)):
            reader.number(index_bytes)
            places.append((base + reader.number(offset_bytes), reader.number(length_bytes)))
        budget -= len(places)
        if reader.ended:
            break
        found.setdefault(number, (method, places))
    return found


def _properties(iprp: bytes) -> dict[int, list[Property]]:
    """Read the properties of each item, in the order of association (23008-12, section 9.3)."""
    known: list[tuple[bytes, bytes]] = []
    found: dict[int, list[Property]] = {}
    for kind, body in boxes(iprp):
        if kind == b"ipco":
            known = list(boxes(body))
        elif kind == b"ipma":
            reader = _Reader(body)
            head = reader.number(4)
            wide = head & 1
            for _ in range(min(reader.number(4), _MOST_ENTRIES)):
                number = reader.number(4 if head >> 24 else 2)
                links = reader.numbers(reader.number(1), 2 if wide else 1)
                if reader.ended:
                    break
                mark = 0x8000 if wide else 0x80
                kept = [(known[link % mark - 1], bool(link & mark)) for link in links if 0 < link % mark <= len(known)]
                found.setdefault(number, []).extend(Property(*box, essential) for box, essential in kept)
    return found


def _references(iref: bytes) -> dict[int, dict[bytes, list[int]]]:
    """Read the targets of the references of each item, by kind (14496-12, section 8.11.12)."""
    found: dict[int, dict[bytes, list[int]]] = {}
    width = 4 if iref[:1] > b"\0" else 2
    for kind, body in boxes(iref, 4):
        reader = _Reader(body)
        number = reader.number(width)
        to = reader.numbers(reader.number(2), width)
        if not reader.ended:
            found.setdefault(number, {}).setdefault(kind, []).extend(to)
    return found


def _first_frame(moov: bytes) -> Item | None:
    """Return the first sample of the first non-auxiliary track, as an item (14496-12, section 8)."""
    for kind, trak in boxes(moov):
        inside = dict(boxes(trak))
        if kind != b"trak" or any(reference == b"auxl" for reference, _ in boxes(inside.get(b"tref", b""))):
            continue
        media = dict(boxes(inside.get(b"mdia", b"")))
        table = dict(boxes(dict(boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
        for name, entry in boxes(table.get(b"stsd", b""), 8):
            if name in CODED and len(entry) >= _SAMPLE_ENTRY:
                width, height = struct.unpack_from(">HH", entry, 24)
                size = (b"ispe", struct.pack(">4xII", width, height))
                properties = [Property(*box) for box in (size, *boxes(entry, _SAMPLE_ENTRY))]
                extents = [(_first_offset(table), _first_length(table))]
                return Item(0, name, extents=extents, properties=properties)
    return None


def _first_offset(table: Mapping[bytes, bytes]) -> int:
    reader = _Reader(table.get(b"stco") or table.get(b"co64", b""))
    reader.number(8)
    return reader.number(4 if b"stco" in table else 8)


def _first_length(table: Mapping[bytes, bytes]) -> int:
    reader = _Reader(table.get(b"stsz", b""))
    reader.number(4)
    return reader.number(4) or reader.number(8) % 2**32


class _Reader:
    """Numbers from a box; zeros after its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, size: int) -> int:
        """Read a number of that many bytes."""
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at])

    def numbers(self, count: int, size: int) -> list[int]:
        """Read `count` numbers of that many bytes, or none if the box is shorter."""
        if count * size > len(self._data) - self._at:
            self._at = len(self._data) + 1
            return []
        return [self.number(size) for _ in range(count)]

    @property
    def ended(self) -> bool:
        """Return True if a number was read beyond the end."""
        return self._at > len(self._data)
