"""Pictures made in horizontal bands, each in a thread: Pillow lets go of the lock meanwhile."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, TypeVar

from PIL import Image

#: Pixels of a result that are worth a thread more.
_WORTH: Final = 400_000

_T = TypeVar("_T")


def bands_for(size: tuple[int, int], threads: int) -> int:
    """How many bands, of at most `threads`, are worth it for a result of that size; at least one."""
    return max(1, min(threads, size[0] * size[1] // _WORTH))


def each_band(height: int, bands: int, make: Callable[[int, int], _T]) -> list[_T]:
    """What `make` makes of each band, told its first row and the one after its last; from the top down."""
    edges = [height * index // bands for index in range(bands + 1)]
    if bands == 1:
        return [make(0, height)]
    with ThreadPoolExecutor(bands - 1) as others:
        later = [others.submit(make, first, last) for first, last in pairwise(edges[1:])]
        return [make(0, edges[1]), *(part.result() for part in later)]


def stacked(bands: Sequence[Image.Image], size: tuple[int, int]) -> Image.Image:
    """The picture of that size that the bands make up."""
    if len(bands) == 1:
        return bands[0]
    whole = Image.new(bands[0].mode, size, None)
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole
