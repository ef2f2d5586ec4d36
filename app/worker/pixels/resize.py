"""Downscaling: choice of filter, averaging factor and number of threads."""

import math
from dataclasses import dataclass
from typing import Final

from PIL import Image

from app.worker.pixels.bands import count_bands, map_bands, stack

#: BICUBIC takes three quarters of the time of LANCZOS. At equal bytes its variants look as good: a higher encoder
#: quality compensates for its softness. LANCZOS pays off only from an image that the decoder has halved to a size just
#: below.
_CHEAP: Final = Image.Resampling.BICUBIC
_BEST: Final = Image.Resampling.LANCZOS
#: Factor below which a step is one to a size just below.
NEAR: Final = 1.25
#: Larger images are averaged by whole factors before that step. That takes 0.6 of the time and costs 1 point of
#: SSIMULACRA2 at the same quality setting. The filter needs at least this factor to correct the averaging.
_LEFT_TO_FILTER: Final = 1.03
_LEFT_TO_FILTER_WHEN_CRISP: Final = 2.0

_PREMULTIPLIED: Final = {"RGBA": "RGBa", "LA": "La"}

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Resizer:
    """Resizes in up to `threads` threads. With `crisp` it averages less, which takes longer and saves bytes."""

    threads: int = 1
    crisp: bool = False

    def whole(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """Resize a whole image; return the image itself if it has that size."""
        if image.size == size:
            return image
        if image.mode in _PREMULTIPLIED:  # transparent pixels must not color edges
            return self.whole(image.convert(_PREMULTIPLIED[image.mode]), size).convert(image.mode)
        scale = min(image.width / size[0], image.height / size[1])
        averaged = int(scale / _LEFT_TO_FILTER_WHEN_CRISP) if self.crisp else int(scale)
        if averaged < 2 or scale < averaged * _LEFT_TO_FILTER:
            averaged = 1
        resampling = _BEST if scale < averaged * NEAR else _CHEAP
        box: Box = (0, 0, image.width, image.height)
        if averaged > 1:
            image = image.reduce(averaged)
            box = (0, 0, box[2] / averaged, box[3] / averaged)
        bands = count_bands(size, self.threads)
        if bands < 2:
            return image.resize(size, resampling, box)
        return _banded(image, size, resampling, box, bands)

    def part(self, image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
        """Resize the box (left, top, right, bottom) of an image."""
        left, top, _, _ = box
        if (left, top, left + size[0], top + size[1]) == box:
            return image.crop((round(left), round(top), round(left) + size[0], round(top) + size[1]))
        return image.resize(size, _CHEAP, box)


def _banded(
    image: Image.Image, size: tuple[int, int], resampling: Image.Resampling, box: Box, bands: int
) -> Image.Image:
    """Resize the box in horizontal bands, each in a thread.

    A band is resized horizontally, then vertically, in two calls. One call would choose the cheaper order, which may
    differ between a band and the whole image; the difference shows where hard edges are clipped between both passes.
    """
    width, height = size
    left, top, right, bottom = box
    scale = (bottom - top) / height
    margin = 3 * max(scale, 1.0) + 1  # LANCZOS reads three pixels of the smaller image each way

    def band(upper: int, lower: int) -> Image.Image:
        first, last = top + upper * scale, top + lower * scale
        above = max(0, math.floor(first - margin))
        below = min(image.height, math.ceil(last + margin))
        narrow = image.resize((width, below - above), resampling, (left, above, right, below))
        return narrow.resize((width, lower - upper), resampling, (0, first - above, width, last - above))

    return stack(map_bands(height, bands, band), size)
