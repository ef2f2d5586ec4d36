"""Clean aperture of HEIC and AVIF images: the part to show (ISO/IEC 14496-12, section 12.1.4)."""

import struct
from collections.abc import Sequence
from fractions import Fraction

from app.worker.decode.heif.items import Property

Box = tuple[int, int, int, int]


def compute_crop(body: bytes, size: tuple[int, int]) -> Box | None:
    """Compute left, top, right and bottom of a `clap` in an image of that size; None if it is invalid.

    A valid one consists of whole pixels within the image. libavif and Chromium ignore others.
    """
    if len(body) < 32:
        return None
    numbers = struct.unpack_from(">8I", body)
    sides = []
    for extent, shift, whole in ((0, 4, size[0]), (2, 6, size[1])):
        if not all(0 < numbers[at + 1] < 2**31 for at in (extent, shift)):
            return None
        offset = numbers[shift] - 2**32 if numbers[shift] >= 2**31 else numbers[shift]
        length = Fraction(numbers[extent], numbers[extent + 1])
        start = Fraction(whole, 2) + Fraction(offset, numbers[shift + 1]) - length / 2
        if length.denominator != 1 or start.denominator != 1 or length < 1 or start < 0 or start + length > whole:
            return None
        sides.append((int(start), int(start + length)))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


def read_aperture(properties: Sequence[Property], size: tuple[int, int]) -> Box | None:
    """Return the part of an AVIF of that size that is shown; None for all of it.

    AVIF allows one clean aperture, which comes before rotation and mirroring (MIAF, section 7.3.6.7).
    """
    box = next((compute_crop(one.body, size) for one in properties if one.kind == b"clap"), None)
    return None if box == (0, 0, *size) else box
