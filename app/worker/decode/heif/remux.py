"""New container for the pixels of a HEIC or AVIF, without anything that decoding does not need.

Decoders refuse a whole file for one broken Exif item, color property, thumbnail or reference. This container holds the
primary image, its tiles and its transparency, with the properties that decoding needs, followed by the bytes of the
original.
"""

import mmap
import struct
from collections.abc import Iterator
from typing import Final

from app.worker.decode.heif.clean_aperture import compute_crop
from app.worker.decode.heif.coding import Coding, correct_configuration, derived_size, first_coding, read_coding
from app.worker.decode.heif.items import CODED, Container, Item
from app.worker.decode.heif.nclx import read_nclx

#: Limit of items of the new container. An item is repeated for each reference to it, as AVIF requires.
_MOST_PARTS: Final = 1_000
_DEEPEST: Final = 16
_CONFIGURATIONS: Final = frozenset({b"av1C", b"hvcC", b"avcC", b"jpgC", b"j2kH", b"vvcC", b"evcC"})
#: Selected layers. Their sizes (a1lx) only help to fetch parts of a file; without them every layer is decoded.
_LAYERS: Final = frozenset({b"lsel", b"a1op"})
_DERIVED: Final = frozenset({b"grid", b"iden", b"iovl"})
#: Item types of HEVC.
HEVC: Final = frozenset({b"hvc1", b"hev1"})
_ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
_Link = tuple[bytes, bool]


def remux(container: Container) -> bytes | None:
    """Return the pixels of the file in a new container; None if it has no image that can be moved."""
    image = container.image
    if image is None:
        return None
    parts = _Parts(container)
    try:
        parts.add(image, ())
    except ValueError:
        return None
    brand = b"avif" if any(item.kind == b"av01" for item in parts.items) else b"heic"
    ftyp = _box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")
    start = len(ftyp) + len(parts.meta(0)) + 16
    head = ftyp + parts.meta(start) + struct.pack(">I4sQ", 1, b"mdat", 16 + container.size)
    with container.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return b"".join((head, data))


class _Parts:
    """Items of the new container, numbered from 1, with their properties and references."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._links: list[list[_Link]] = []
        self._refs: list[bytes] = []
        self.items: list[Item] = []

    def add(self, item: Item, above: tuple[int, ...], of: int = 0) -> int:
        """Add the item, its sources and its transparency; return its new number.

        Raises `ValueError` for cycles, too many items and items without pixels.
        """
        if item.number in above or len(above) > _DEEPEST or len(self.items) >= _MOST_PARTS:
            raise ValueError("no tree of images")
        if item.kind not in CODED | _DERIVED:
            raise ValueError("no image")
        self.items.append(item)
        self._links.append([*self._properties(item, is_alpha=bool(of))])
        number, above = len(self.items), (*above, item.number)
        if of:
            self._refs.append(_reference(b"auxl", number, [of]))
        sources = [self._container.items.get(to) for to in item.refs.get(b"dimg", ())]
        if sources and item.kind in _DERIVED:
            self._refs.append(_reference(b"dimg", number, [self.add(one, above) for one in sources if one]))
        for alpha in self._container.alphas(item)[:1] if not of else ():
            added = self.add(alpha, above, of=number)
            if alpha.number in item.refs.get(b"prem", ()):
                self._refs.append(_reference(b"prem", number, [added]))
        return number

    def meta(self, start: int) -> bytes:
        """Build the new `meta` box; the bytes of the original begin at `start`."""
        known = list(dict.fromkeys(box for links in self._links for box, _ in links))
        index = {box: at + 1 for at, box in enumerate(known)}
        numbers = range(1, len(self.items) + 1)
        infos = [
            _full(b"infe", 2, struct.pack(">HH4sB", number, 0, item.kind, 0), flags=int(number > 1))  # 1 is hidden
            for number, item in enumerate(self.items, 1)
        ]
        links = [
            struct.pack(f">HB{len(given)}H", number, len(given), *(index[box] | must << 15 for box, must in given))
            for number, given in zip(numbers, self._links, strict=True)
        ]
        count = struct.pack(">H", len(self.items))
        return _full(
            b"meta", 0,
            _full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            _full(b"pitm", 0, struct.pack(">H", 1)),
            _full(b"iloc", 1, b"\x88\0", count, *(self._location(number, start) for number in numbers)),
            _full(b"iinf", 0, count, *infos),
            _box(b"iprp", _box(b"ipco", *known), _full(b"ipma", 0, struct.pack(">I", len(links)), *links, flags=1)),
            *([_full(b"iref", 0, *self._refs)] if self._refs else []),
            *([_box(b"idat", self._container.idat)] if self._container.idat else []),
        )  # fmt: skip

    def _location(self, number: int, start: int) -> bytes:
        item = self.items[number - 1]
        whole = len(self._container.idat) if item.method else self._container.size
        shift = 0 if item.method else start
        extents = [struct.pack(">QQ", shift + at, length or max(0, whole - at)) for at, length in item.extents]
        return struct.pack(">HHHH", number, item.method, 0, len(extents)) + b"".join(extents)

    def _properties(self, item: Item, *, is_alpha: bool) -> Iterator[_Link]:
        """Yield the properties that decoding needs, each kind once, in a form that decoders accept."""
        given = dict(reversed([(one.kind, one) for one in item.properties]))
        coding = read_coding(self._container, item)
        size = self._size(item, coding)
        if size:
            yield _full(b"ispe", 0, struct.pack(">II", *size)), False
        for kind in (*_CONFIGURATIONS, *_LAYERS):
            if kind in given:
                one = given[kind]
                yield (
                    _box(kind, correct_configuration(kind, one.body, coding)),
                    one.essential or kind in _CONFIGURATIONS,
                )
        if is_alpha:
            yield _full(b"auxC", 0, _ALPHA), False
        else:
            # Conversion of the coded channels to RGB. The meaning of RGB is read from the original.
            for colors in [found for one in item.properties if (found := read_nclx(one))][:1]:
                matrix = colors.readable_matrix(first_coding(self._container, item))
                yield _box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, matrix, colors.full_range << 7)), False
        for one in item.transformations:
            if one.kind != b"clap" and one.body:
                yield _box(one.kind, bytes((one.body[0] & (3 if one.kind == b"irot" else 1),))), True
            elif size and item.kind != b"av01" and compute_crop(one.body, size):
                yield _box(b"clap", one.body), True

    def _size(self, item: Item, coding: Coding | None) -> tuple[int, int] | None:
        """Return the actual size where a decoder depends on it: that of all tiles, and that of HEVC."""
        if item.kind == b"grid":
            return derived_size(self._container, item) or item.size()
        if coding and (item.kind in HEVC or item.size() is None):
            return coding.width, coding.height
        return item.size()


def _reference(kind: bytes, number: int, to: list[int]) -> bytes:
    return _box(kind, struct.pack(f">HH{len(to)}H", number, len(to), *to))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)
