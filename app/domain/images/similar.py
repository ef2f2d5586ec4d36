"""Perceptual hashes: 64 bits, 16 hex digits. Images that look alike have hashes that differ in few bits."""

from collections.abc import Sequence

#: Parts that an index contains of each hash, of 16 bits each.
BANDS = 4
_DIGITS = 4
#: Hashes with fewer ones, or with fewer zeros, are those of nearly uniform images: they match each other and nothing
#: that looks like them.
_FEWEST_ONES = 8


def is_flat(phash: str) -> bool:
    """Return True for the hash of a nearly uniform image, which has no look-alikes."""
    ones = int(phash, 16).bit_count()
    return not _FEWEST_ONES <= ones <= BANDS * _DIGITS * 4 - _FEWEST_ONES


def bands(phash: str | None) -> Sequence[str]:
    """Return the values that an image is indexed under: the number of each band and its digits, such as `0:d2c3`.

    There is none for an image without a hash, nor for a flat one.
    """
    if phash is None or is_flat(phash):
        return ()
    return [f"{number}:{phash[number * _DIGITS :][:_DIGITS]}" for number in range(BANDS)]
