"""A photograph that goes from JPEG to JPEG as JPEG keeps it: light apart, and colour at half its size.

That is half the bytes to resize, two threads that do not wait for each other, and nothing converted to RGB and back.
WebP and AVIF are written from RGB, so that only recipes of JPEG alone come by here.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image, ImageFile

from app.domain.models import Format
from app.domain.recipe import Recipe
from app.worker.pixels.color import conversion_to_srgb
from app.worker.pixels.fast_color import SHARED, Conversion, added, change_of, first_of_blocks, spread
from app.worker.pixels.icc import has_table
from app.worker.pixels.resize import Box, Resizer

#: JFIF 1.02, section "Color Space": to luma and both differences, and back. Pillow's own conversion cuts off fractions.
_TO_PLANES: Final = (0.299, 0.587, 0.114, 0.0, -0.168736, -0.331264, 0.5, 128.0, 0.5, -0.418688, -0.081312, 128.0)
_TO_RGB: Final = (1.0, 0.0, 1.402, -179.456, 1.0, -0.344136, -0.714136, 135.458816, 1.0, 1.772, 0.0, -226.816)
_DIFFERENCE_OF_LEVELS: Final = (*_TO_PLANES[:3], 0.0, *_TO_PLANES[4:])
#: Short side of what looks are read from, in pixels.
_PREVIEW: Final = 128


@dataclass(frozen=True)
class Planes:
    """A picture in sRGB or its own RGB space: `luma`, and the differences `blue` and `red` at half its size."""

    luma: Image.Image
    blue: Image.Image
    red: Image.Image

    @property
    def mode(self) -> str:
        """Pillow's name for what it is merged to."""
        return "YCbCr"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels."""
        return self.luma.size

    @property
    def width(self) -> int:
        """Width, in pixels."""
        return self.luma.width

    @property
    def height(self) -> int:
        """Height, in pixels."""
        return self.luma.height

    def copy(self) -> "Planes":
        """The picture itself: nothing writes to it."""
        return self

    def merged(self) -> Image.Image:
        """As one picture of mode YCbCr, whose encoder halves the differences to what they are."""
        return Image.merge("YCbCr", self._full())

    def rgb(self) -> Image.Image:
        """As one picture of mode RGB."""
        return _rgb(*self._full())

    def preview(self) -> Image.Image:
        """A small RGB picture to read looks from."""
        factor = min(self.size) // (2 * _PREVIEW)
        if factor < 1:
            return self.rgb()
        return _rgb(self.luma.reduce(2 * factor), self.blue.reduce(factor), self.red.reduce(factor))

    def each(self, work: Callable[[Image.Image], Image.Image]) -> "Planes":
        """The same done to each plane."""
        return Planes(work(self.luma), work(self.blue), work(self.red))

    def whole(self, size: tuple[int, int], resizer: Resizer) -> "Planes":
        """All of the picture at that size; the picture itself when it has it."""
        if self.size == size:
            return self
        alone = replace(resizer, threads=1)
        return self._resized(lambda: alone.whole(self.luma, size), size, (0, 0, *self.size), resizer)

    def part(self, size: tuple[int, int], box: Box, resizer: Resizer) -> "Planes":
        """What the box (left, top, right, bottom) of the picture shows, at that size."""
        return self._resized(lambda: resizer.part(self.luma, size, box), size, box, resizer)

    def _resized(self, luma: Callable[[], Image.Image], size: tuple[int, int], box: Box, resizer: Resizer) -> "Planes":
        """Light in this thread, colour meanwhile in another where there is one."""
        halved = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        # The last sample of an odd side stands for a pixel beyond the box, as long as there is one in the picture.
        right = min((box[0] + (box[2] - box[0]) * 2 * halved[0] / size[0]) / 2, self.blue.width)
        bottom = min((box[1] + (box[3] - box[1]) * 2 * halved[1] / size[1]) / 2, self.blue.height)
        half = (box[0] / 2, box[1] / 2, right, bottom)

        def colour() -> tuple[Image.Image, Image.Image]:
            return resizer.part(self.blue, halved, half), resizer.part(self.red, halved, half)

        if resizer.threads < 2:
            return Planes(luma(), *colour())
        with ThreadPoolExecutor(1) as other:
            later = other.submit(colour)
            return Planes(luma(), *later.result())

    def _full(self) -> tuple[Image.Image, Image.Image, Image.Image]:
        box = (0, 0, *self.size)
        return self.luma, spread(self.blue, 2).crop(box), spread(self.red, 2).crop(box)


#: What variants are made from.
Picture = Image.Image | Planes


def suits(image: ImageFile.ImageFile, recipe: Recipe, top: tuple[int, int]) -> bool:
    """Whether an opened picture that becomes so large at most can be kept in planes.

    Its colours must be luma and differences (as libjpeg decides that), and the size even, for then the differences
    stay where they are however it is turned.
    """
    if image.format != "JPEG" or image.mode != "RGB" or "lossless" in image.info:
        return False
    if any(spec.formats != (Format.JPEG,) for spec in recipe.variants):
        return False
    if top[0] % 2 or top[1] % 2:
        return False
    if "jfif" in image.info:
        return True
    if "adobe" in image.info:
        return bool(image.info.get("adobe_transform") == 1)
    return [layer[0] for layer in getattr(image, "layer", ())] != list(b"RGB")


def planes_of(image: Image.Image) -> Planes:
    """Of a decoded picture of mode YCbCr."""
    luma, blue, red = image.split()
    return Planes(luma, blue.reduce(2), red.reduce(2))


def planes_to_srgb(planes: Planes, profile: bytes | None) -> Planes:
    """In sRGB, by what conversion changes in a quarter-size picture where that is right, exactly elsewhere."""
    exact = conversion_to_srgb(profile, "RGB") if profile else None
    if exact is None or profile is None:
        return planes
    if has_table(profile):  # which bends colors too much for what follows
        return _converted(planes, exact) or planes
    half = SHARED // 2
    small = _rgb(planes.luma.reduce(SHARED), planes.blue.reduce(half), planes.red.reduce(half))
    picked = _rgb(
        first_of_blocks(planes.luma, small.size),
        *(first_of_blocks(plane, small.size, half) for plane in (planes.blue, planes.red)),
    )
    change = change_of(small, picked, exact)
    if change is None or not change.is_even:
        return _converted(planes, exact) or planes
    luma, blue, red = change.levels.convert("RGB", _DIFFERENCE_OF_LEVELS).split()
    whole = Planes(
        added(planes.luma, spread(luma)), added(planes.blue, spread(blue, half)), added(planes.red, spread(red, half))
    )
    for left, top, right, bottom in change.tiles:  # whose corners are even
        inside = (left, top, min(right, planes.width), min(bottom, planes.height))
        halved = (left // 2, top // 2, (inside[2] + 1) // 2, (inside[3] + 1) // 2)
        part = Planes(planes.luma.crop(inside), planes.blue.crop(halved), planes.red.crop(halved))
        part = _converted(part, exact) or part
        whole.luma.paste(part.luma, inside)
        whole.blue.paste(part.blue, halved)
        whole.red.paste(part.red, halved)
    return whole


def _converted(planes: Planes, exact: Conversion) -> Planes | None:
    converted = exact(planes.rgb())
    return planes_of(converted.convert("RGB", _TO_PLANES)) if converted else None


def _rgb(luma: Image.Image, blue: Image.Image, red: Image.Image) -> Image.Image:
    return Image.merge("RGB", (luma, blue, red)).convert("RGB", _TO_RGB)
