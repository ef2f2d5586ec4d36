"""Converting the colours of a large photograph by way of a smaller one, wherever that does not show."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageChops

#: Pixels across and down that share one change of colour, and the picture's smallest side for that to be worth it.
SHARED: Final = 4
LARGE: Final = 512
#: Levels by which a pixel may be off, and blocks across and down of a tile that is converted again when one is.
_TOLERANCE: Final = 2
_TILE: Final = 32

Conversion = Callable[[Image.Image], Image.Image | None]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Change:
    """What conversion changes: `levels` above 128 for each block of pixels, and boxes in pixels where that is wrong."""

    levels: Image.Image
    tiles: Sequence[Box]

    @property
    def is_even(self) -> bool:
        """Whether it holds for so much of the picture that the rest is worth a conversion of its own."""
        return len(self.tiles) * _TILE**2 <= self.levels.width * self.levels.height / 2


def spread(levels: Image.Image, pixels: int = SHARED) -> Image.Image:
    """One value for each block, that many pixels across and down, as one for each pixel."""
    return levels.resize((levels.width * pixels, levels.height * pixels), Image.Resampling.NEAREST)


def added(image: Image.Image, levels: Image.Image) -> Image.Image:
    """The picture changed by as many levels as there are above 128; as large as the smaller of both."""
    return ImageChops.add(image, levels, 1, -128)


def first_of_blocks(image: Image.Image, size: tuple[int, int], pixels: int = SHARED) -> Image.Image:
    """The upper left pixel of each block: every block has one, those at the right and the lower edge too."""
    shift = 0.5 - pixels / 2
    matrix = (pixels, 0, shift, 0, pixels, shift)
    return image.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def change_of(small: Image.Image, picked: Image.Image, exact: Conversion) -> Change | None:
    """What `exact` changes in a picture, from each block's mean and one of its pixels, both RGB; None where it fails.

    The change from Display P3 to sRGB is small, and even but where colours meet that it changes differently. So one
    pixel of each block is converted, and the tile of one that tells another story than the mean is wrong.
    """
    converted, truth = exact(small), exact(picked)
    if converted is None or truth is None:
        return None
    levels = ImageChops.subtract(converted, small, 1, 128)
    wrong = _above_tolerance(ImageChops.difference(truth, added(picked, levels)))
    return Change(levels, list(_tiles(wrong)))


def converted_evenly(image: Image.Image, exact: Conversion) -> Image.Image | None:
    """The RGB picture plus what `exact` changes in a quarter-size one; None where that is not worth it or fails.

    Exact conversion costs 14 ns a pixel, this half of it.
    """
    if image.mode != "RGB" or min(image.size) < LARGE:
        return None
    small = image.reduce(SHARED)
    change = change_of(small, first_of_blocks(image, small.size), exact)
    if change is None or not change.is_even:
        return None
    whole = added(image, spread(change.levels))
    for box in change.tiles:
        inside = (box[0], box[1], min(box[2], image.width), min(box[3], image.height))
        part = exact(image.crop(inside))
        if part is None:
            return None
        whole.paste(part, inside)
    return whole


def _above_tolerance(difference: Image.Image) -> Image.Image:
    red, green, blue = difference.split()
    worst = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return worst.point([0] * (_TOLERANCE + 1) + [255] * (255 - _TOLERANCE))


def _tiles(wrong: Image.Image) -> Iterator[Box]:
    """Boxes, in pixels of the picture, of the tiles with a wrong block in them or just beside."""
    if wrong.getbbox() is None:
        return
    for top in range(0, wrong.height, _TILE):
        for left in range(0, wrong.width, _TILE):
            if wrong.crop((left - 1, top - 1, left + _TILE + 1, top + _TILE + 1)).getbbox():
                yield (left * SHARED, top * SHARED, (left + _TILE) * SHARED, (top + _TILE) * SHARED)
