"""Items of HEIC and AVIF files, their properties and references (ISO/IEC 23008-12)."""

import struct
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

#: Limit of derived items between the primary item and the one with the pixels.
_MOST_STEPS: Final = 16
#: Pieces of an item that are read.
_MOST_EXTENTS: Final = 100

#: Types of items with coded pixels.
CODED: Final = frozenset({b"av01", b"hvc1", b"hev1", b"lhv1", b"avc1", b"jpeg", b"j2k1", b"vvc1", b"evc1", b"unci"})
_ALPHA: Final = frozenset({b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"})


@dataclass(frozen=True)
class Property:
    """One box of `ipco`; `essential` if the item must not be shown without it."""

    kind: bytes
    body: bytes
    essential: bool = False


@dataclass(frozen=True)
class Item:
    """One item. `method` is 0 for bytes of the file and 1 for bytes of `idat`; `refs` lead from the item to others."""

    number: int
    kind: bytes
    content_type: bytes = b""
    method: int = 0
    extents: Sequence[tuple[int, int]] = ()
    properties: Sequence[Property] = ()
    refs: Mapping[bytes, Sequence[int]] = field(default_factory=dict)

    def all(self, kind: bytes) -> list[bytes]:
        """Return the bodies of its properties of that kind, in order."""
        return [one.body for one in self.properties if one.kind == kind]

    def size(self) -> tuple[int, int] | None:
        """Return width and height of the coded item (`ispe`)."""
        return next((struct.unpack_from(">II", body, 4) for body in self.all(b"ispe") if len(body) >= 12), None)

    @property
    def transformations(self) -> list[Property]:
        """Transformations of the decoded pixels, in order."""
        return [one for one in self.properties if one.kind in {b"clap", b"irot", b"imir"}]

    @property
    def has_bytes(self) -> bool:
        """Return True if it is derived from other items or has data of its own."""
        return b"dimg" in self.refs or any(length for _, length in self.extents)

    def auxiliary(self) -> bytes:
        """Return the purpose of an auxiliary item (`auxC`), or no bytes."""
        return next((body[4:].split(b"\0")[0] for body in self.all(b"auxC")), b"")


@dataclass(frozen=True)
class Container:
    """A parsed file. `frame` is the first one of a sequence, as an item; `size` is the bytes of the file."""

    path: Path = Path()
    brands: Sequence[bytes] = ()
    primary: int | None = None
    items: Mapping[int, Item] = field(default_factory=dict)
    idat: bytes = b""
    frame: Item | None = None
    size: int = 0

    @cached_property
    def image(self) -> Item | None:
        """Item that is shown: the first frame of an AVIF sequence, or the primary item.

        A tone-mapped item (`tmap`) resolves to its base image, an identity (`iden`) to its source.
        """
        primary = self.items.get(self.primary or 0)
        if self.frame and (primary is None or (self.frame.kind == b"av01" and self.brands[0] != b"avif")):
            return self.frame
        return self._resolved(primary) if primary else None

    def _resolved(self, item: Item) -> Item:
        for _ in range(_MOST_STEPS):
            source = self.items.get(next(iter(item.refs.get(b"dimg", ())), 0))
            if source is None or item.kind not in {b"tmap", b"iden"}:
                break
            if item.kind == b"iden" and item.transformations:
                if source.transformations:  # two sets cannot be merged
                    break
                source = replace(source, properties=[*source.properties, *item.transformations])
            item = source
        return item

    def read(self, item: Item, most: int) -> bytes:
        """Read at most that many bytes of an item. Extents outside of the file are skipped."""
        data = b""
        try:
            with self.path.open("rb") as file:
                for offset, length in item.extents[:_MOST_EXTENTS]:
                    left = most - len(data)
                    if item.method == 1:
                        end = offset + (length or len(self.idat))
                        data += self.idat[offset : min(end, offset + left)]
                    elif item.method == 0 and offset < self.size:
                        file.seek(offset)
                        data += file.read(min(length or self.size, left))
        except OSError:
            return b""
        return data

    def shown(self) -> list[Property]:
        """Return the properties of the shown item, then those of its first tile, for what the grid lacks."""
        parts = self.parts(self.image) if self.image else []
        return [one for part in parts[:2] for one in part.properties]

    def parts(self, item: Item) -> list[Item]:
        """Return the item and all items that it is derived from, each once, in order."""
        found = {item.number: item}
        waiting = deque(found.values())
        while waiting:
            for to in waiting.popleft().refs.get(b"dimg", ()):
                if to in self.items and to not in found:
                    found[to] = self.items[to]
                    waiting.append(found[to])
        return list(found.values())

    def tiles(self, item: Item) -> list[Item]:
        """Return the tiles of a grid, each as often as it is used; none if a tile or its transparency is derived."""
        tiles = [self.items[to] for to in item.refs.get(b"dimg", ()) if to in self.items]
        pieces = [*tiles, *(alpha for tile in tiles for alpha in self.alphas(tile))]
        return tiles if item.kind == b"grid" and all(piece.kind in CODED for piece in pieces) else []

    @cached_property
    def auxiliaries(self) -> Mapping[int, Sequence[Item]]:
        """Auxiliary items (`auxl`: transparency, depth, gain maps) by the number of their main item."""
        found: dict[int, list[Item]] = {}
        for item in self.items.values():
            for to in item.refs.get(b"auxl", ()):
                if to != item.number:
                    found.setdefault(to, []).append(item)
        return found

    def alphas(self, item: Item) -> list[Item]:
        """Return the auxiliary items with the transparency of the item; those without bytes do not count."""
        return [one for one in self.auxiliaries.get(item.number, ()) if one.auxiliary() in _ALPHA and one.has_bytes]

    def notes(self, kind: bytes) -> list[Item]:
        """Metadata items (`Exif`, `mime`), first those that describe what is shown."""
        number = self.image.number if self.image else None
        notes = [one for one in self.items.values() if one.kind == kind]
        return sorted(notes, key=lambda one: number not in one.refs.get(b"cdsc", ()))
