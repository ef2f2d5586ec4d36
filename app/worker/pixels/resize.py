"""Making pictures smaller: with which filter, after how much averaging, and in how many threads."""

import math
from dataclasses import dataclass
from typing import Final

from PIL import Image

from app.worker.pixels.bands import bands_for, each_band, stacked

#: BICUBIC costs three quarters of LANCZOS, and at equal bytes its variants look as good: the encoder's quality makes up
#: for its softness. Only the step from what the decoder has halved to a size just below loses more by it than it saves.
_CHEAP: Final = Image.Resampling.BICUBIC
_BEST: Final = Image.Resampling.LANCZOS
#: A step to a size less than this much smaller is such a step.
NEAR: Final = 1.25
#: What no decoder has scaled is averaged by whole factors before that step, at 0.6 of its cost and, at the same quality
#: setting, a point of SSIMULACRA2 less, unless too little is left for the filter to mend what averaging has done.
_LEFT_TO_FILTER: Final = 1.03
_LEFT_TO_FILTER_WHEN_CRISP: Final = 2.0

_PREMULTIPLIED: Final = {"RGBA": "RGBa", "LA": "La"}

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Resizer:
    """Resizes in up to `threads` at a time; `crisp` when bytes are dearer than the time that averaging saves."""

    threads: int = 1
    crisp: bool = False

    def whole(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """All of the picture at that size; the picture itself when it has it."""
        if image.size == size:
            return image
        if image.mode in _PREMULTIPLIED:  # once, and not in each step: what is transparent must not colour its edges
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
        bands = bands_for(size, self.threads)
        if bands < 2:
            return image.resize(size, resampling, box)
        return _banded(image, size, resampling, box, bands)

    def part(self, image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
        """What the box (left, top, right, bottom) of the picture shows, at that size."""
        left, top, _, _ = box
        if (left, top, left + size[0], top + size[1]) == box:
            return image.crop((round(left), round(top), round(left) + size[0], round(top) + size[1]))
        return image.resize(size, _CHEAP, box)


def _banded(
    image: Image.Image, size: tuple[int, int], resampling: Image.Resampling, box: Box, bands: int
) -> Image.Image:
    """What `resize` makes of the box, in horizontal bands, each in a thread.

    A band is resized across and then down, in two calls: one call takes the cheaper order, which may be another for a
    band than for the whole, and shows where hard edges are clipped between both.
    """
    width, height = size
    left, top, right, bottom = box
    scale = (bottom - top) / height
    margin = 3 * max(scale, 1.0) + 1  # LANCZOS looks at three pixels each way, of the smaller picture

    def band(upper: int, lower: int) -> Image.Image:
        first, last = top + upper * scale, top + lower * scale
        above = max(0, math.floor(first - margin))
        below = min(image.height, math.ceil(last + margin))
        narrow = image.resize((width, below - above), resampling, (left, above, right, below))
        return narrow.resize((width, lower - upper), resampling, (0, first - above, width, last - above))

    return stacked(each_band(height, bands, band), size)
