"""Horizontal bands of an image, processed in threads: Pillow releases the GIL meanwhile."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, TypeVar

from PIL import Image

#: Pixels of a result from which one more thread pays off.
_WORTH: Final = 400_000

_T = TypeVar("_T")


def count_bands(size: tuple[int, int], threads: int) -> int:
    """Return the number of bands that pay off for a result of that size: at least 1, at most `threads`."""
    return max(1, min(threads, size[0] * size[1] // _WORTH))


def map_bands(height: int, bands: int, make: Callable[[int, int], _T]) -> list[_T]:
    """Call `make` with the first row of each band and the row after its last; return the results from the top down."""
    edges = [height * index // bands for index in range(bands + 1)]
    if bands == 1:
        return [make(0, height)]
    with ThreadPoolExecutor(bands - 1) as others:
        later = [others.submit(make, first, last) for first, last in pairwise(edges[1:])]
        return [make(0, edges[1]), *(part.result() for part in later)]


def stack(bands: Sequence[Image.Image], size: tuple[int, int]) -> Image.Image:
    """Join the bands to an image of that size."""
    if len(bands) == 1:
        return bands[0]
    whole = Image.new(bands[0].mode, size, None)
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole
