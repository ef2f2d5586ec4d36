"""Sequence header of an AV1 image: the actual format of its pixels, regardless of the container (AV1, 5.5)."""

from dataclasses import dataclass
from typing import Final

from app.worker.decode.heif.bits import Bits

#: Bytes of an image that are searched for its sequence header.
HEAD: Final = 256
_SEQUENCE_HEADER: Final = 1
_MOST_UNITS: Final = 4
_UNSPECIFIED: Final = (2, 2, 2)
_SRGB_IDENTITY: Final = (1, 13, 0)


@dataclass(frozen=True)
class SequenceHeader:
    """`chroma` is 0, 1, 2 or 3 for gray, 4:2:0, 4:2:2 and 4:4:4; `colors` are primaries, transfer and matrix."""

    width: int
    height: int
    depth: int
    chroma: int
    colors: tuple[int, int, int]


def read_sequence_header(data: bytes) -> SequenceHeader | None:
    """Read the first sequence header of a run of OBUs; None if there is none or it is truncated."""
    at = 0
    for _ in range(_MOST_UNITS):
        if at >= len(data):
            return None
        kind, has_extension, has_size = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + has_extension
        size, at = _leb128(data, at) if has_size else (len(data) - at, at)
        if kind == _SEQUENCE_HEADER:
            bits = Bits(data[at : at + size])
            header = _read(bits)
            return None if bits.ended else header
        at += size
    return None


def _read(bits: Bits) -> SequenceHeader:
    profile, _, reduced = bits.read(3), bits.read(1), bits.read(1)
    if reduced:
        bits.read(5)
    else:
        _skip_operating_points(bits)
    across, down = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(across) + 1, bits.read(down) + 1
    if not reduced and bits.read(1):  # frame ids
        bits.read(7)
    bits.read(3)
    if not reduced:
        _skip_tools(bits)
    bits.read(3)
    return SequenceHeader(width, height, *_read_colors(bits, profile))


def _skip_operating_points(bits: Bits) -> None:
    delay_bits = 0
    if bits.read(1):  # timing
        bits.read(64)
        if bits.read(1):
            bits.exp_golomb()
        if bits.read(1):  # decoder model
            delay_bits = bits.read(5) + 1
            bits.read(42)
    delays = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if delays and bits.read(1):
            bits.read(4)


def _skip_tools(bits: Bits) -> None:
    bits.read(4)
    has_order = bits.read(1)
    if has_order:
        bits.read(2)
    screen_content = 2 if bits.read(1) else bits.read(1)
    if screen_content and not bits.read(1):
        bits.read(1)
    if has_order:
        bits.read(3)


def _read_colors(bits: Bits, profile: int) -> tuple[int, int, tuple[int, int, int]]:
    depth = 10 if bits.read(1) else 8
    if profile == 2 and depth == 10 and bits.read(1):
        depth = 12
    is_gray = profile != 1 and bits.read(1)
    colors = (bits.read(8), bits.read(8), bits.read(8)) if bits.read(1) else _UNSPECIFIED
    if is_gray:
        return depth, 0, colors
    if colors == _SRGB_IDENTITY:
        return depth, 3, colors
    bits.read(1)
    if profile < 2:
        return depth, 3 if profile else 1, colors
    if depth < 12:
        return depth, 2, colors
    return depth, (1 if bits.read(1) else 2) if bits.read(1) else 3, colors


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, at + index + 1
    return 0, len(data)
