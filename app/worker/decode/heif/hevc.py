"""Sequence parameter set of an HEVC image: the actual format of its pixels (ITU-T H.265, 7.3)."""

from functools import lru_cache
from typing import Final

from app.worker.decode.heif.bits import Bits

_SPS: Final = 33
#: Bits of a profile, and of a profile with its level.
_PROFILE: Final = 88
_PROFILE_AND_LEVEL: Final = 96


def read_parameter_set(configuration: bytes) -> bytes | None:
    """Find the first sequence parameter set of an `hvcC` box (ISO/IEC 14496-15, section 8.3.3.1.2), or None."""
    at = 23
    for _ in range(configuration[22] if len(configuration) > 22 else 0):
        kind, units = configuration[at : at + 1], int.from_bytes(configuration[at + 1 : at + 3])
        at += 3
        for _ in range(min(units, 64)):
            size = int.from_bytes(configuration[at : at + 2])
            if kind and kind[0] & 63 == _SPS:
                return configuration[at + 2 : at + 2 + size]
            at += 2 + size
    return None


@lru_cache(maxsize=64)  # the tiles of an image have equal ones
def read_picture_format(parameters: bytes) -> tuple[int, int, int, int] | None:
    """Read decoded width and height, bits per channel and chroma format; None if the set is truncated."""
    bits = Bits(parameters[2:].replace(b"\0\0\3", b"\0\0"))
    bits.skip(4)
    layers = bits.read(3)
    bits.skip(1)
    _skip_levels(bits, layers)
    bits.exp_golomb()
    chroma = bits.exp_golomb()
    if chroma == 3:
        bits.skip(1)
    width, height = bits.exp_golomb(), bits.exp_golomb()
    if bits.read(1):  # conformance window, in samples of chroma
        across, down = (2 if chroma in {1, 2} else 1), (2 if chroma == 1 else 1)
        width -= across * (bits.exp_golomb() + bits.exp_golomb())
        height -= down * (bits.exp_golomb() + bits.exp_golomb())
    depth = 8 + bits.exp_golomb()
    return None if bits.ended or chroma > 3 or depth > 16 else (width, height, depth, chroma)


def _skip_levels(bits: Bits, layers: int) -> None:
    bits.skip(_PROFILE_AND_LEVEL)
    given = [(bits.read(1), bits.read(1)) for _ in range(layers)]
    if layers:
        bits.skip(2 * (8 - layers))
    for has_profile, has_level in given:
        bits.skip(_PROFILE * has_profile + 8 * has_level)
