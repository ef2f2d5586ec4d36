"""Coding of HEIC and AVIF items, read from the bitstream, or else from the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.worker.decode.heif import av1, hevc
from app.worker.decode.heif.items import Container, Item

GRAY: Final = 0
HALVED: Final = 1
FULL: Final = 3


@dataclass(frozen=True)
class Coding:
    """`chroma` is 0, 1, 2 or 3 for gray, 4:2:0, 4:2:2 and 4:4:4; `colors` are primaries, transfer and matrix."""

    width: int
    height: int
    depth: int
    chroma: int
    colors: tuple[int, int, int] | None = None

    @property
    def pixels(self) -> int:
        """Number of decoded pixels."""
        return self.width * self.height


def read_coding(container: Container, item: Item) -> Coding | None:
    """Read the coding of an AV1 or HEVC item; None for others."""
    width, height = item.size() or (0, 0)
    for body in item.all(b"av1C"):
        header = av1.read_sequence_header(container.read(item, av1.HEAD)) or av1.read_sequence_header(body[4:])
        if header:
            return Coding(header.width, header.height, header.depth, header.chroma, header.colors)
        if len(body) >= 3:  # AV1 in ISOBMFF, section 2.3.3
            chroma = GRAY if body[2] & 0x10 else (3, 3, 2, 1)[body[2] >> 2 & 3]
            return Coding(width, height, (8, 8, 10, 12)[body[2] >> 5 & 3], chroma)
    for body in item.all(b"hvcC"):
        parameters = hevc.read_parameter_set(body)
        if parameters and (found := hevc.read_picture_format(parameters)):
            return Coding(*found)
        if len(body) >= 18:
            return Coding(width, height, (body[17] & 7) + 8, body[16] & 3)
    return None


def correct_configuration(kind: bytes, body: bytes, coding: Coding | None) -> bytes:
    """Return the decoder configuration with depth and chroma as in the bitstream."""
    if coding is None:
        return body
    if kind == b"av1C" and len(body) >= 3:
        deep = {8: 0, 10: 0x40, 12: 0x60}.get(coding.depth, 0)
        flags = deep | (0x1C, 0x0C, 0x08, 0)[coding.chroma]
        return body[:2] + bytes((body[2] & 0x83 | flags,)) + body[3:]
    if kind == b"hvcC" and len(body) >= 19 and coding.depth <= 15:
        return body[:16] + bytes((0xFC | coding.chroma, *2 * (0xF8 | coding.depth - 8,))) + body[19:]
    return body


def derived_size(container: Container, item: Item) -> tuple[int, int] | None:
    """Read the size of a grid of tiles or an overlay (23008-12, section 6.6.2); None for others."""
    at = {b"grid": 4, b"iovl": 10}.get(item.kind)
    if at is None:
        return None
    body = container.read(item, at + 8)
    width = 4 if body[1:2] and body[1] & 1 else 2
    if len(body) < at + 2 * width:
        return None
    return int.from_bytes(body[at : at + width]), int.from_bytes(body[at + width : at + 2 * width])


def largest(container: Container, parts: Sequence[Item]) -> int:
    """Return the number of pixels of the largest item, coded or derived."""
    sizes = [item.size() or (0, 0) for item in parts]
    sizes += [found for item in parts if (found := derived_size(container, item))]
    coded = [coding.pixels for item in parts if (coding := read_coding(container, item))]
    return max((*(width * height for width, height in sizes), *coded), default=0)


def first_coding(container: Container, item: Item) -> Coding | None:
    """Return the coding of the item, or of the first item that it is derived from."""
    return next((found for part in container.parts(item) if (found := read_coding(container, part))), None)
