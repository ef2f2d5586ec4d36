"""Converting the colours of a large photograph by way of a smaller one, wherever that does not show."""

from collections.abc import Callable, Iterator
from typing import Final

from PIL import Image, ImageChops

#: Pixels across and down that share one change of colour, and the picture's smallest side for that to be worth it.
_SHARED: Final = 4
_LARGE: Final = 512
#: Levels by which a pixel may be off, and blocks across and down of a tile that is converted again when one is.
_TOLERANCE: Final = 2
_TILE: Final = 32

Conversion = Callable[[Image.Image], Image.Image | None]


def converted_evenly(image: Image.Image, exact: Conversion) -> Image.Image | None:
    """The RGB picture plus what `exact` changes in a quarter-size one; None where that is not worth it or fails.

    Exact conversion costs 14 ns a pixel, this half of it. The change from Display P3 to sRGB is small, and even but
    where colours meet that it changes differently. So one pixel of each block is converted exactly, and where it tells
    another story, its tile is, too; all of the picture, when it is every second tile.
    """
    if image.mode != "RGB" or min(image.size) < _LARGE:
        return None
    small = image.reduce(_SHARED)
    # The upper left pixel of each block: every block has one, those at the right and the lower edge too.
    shift = 0.5 - _SHARED / 2
    picked = image.transform(
        small.size, Image.Transform.AFFINE, (_SHARED, 0, shift, 0, _SHARED, shift), Image.Resampling.NEAREST
    )
    converted, truth = exact(small), exact(picked)
    if converted is None or truth is None:
        return None
    change = ImageChops.subtract(converted, small, 1, 128)
    wrong = _above_tolerance(ImageChops.difference(truth, ImageChops.add(picked, change, 1, -128)))
    tiles = list(_tiles(wrong))
    if len(tiles) * _TILE**2 > small.width * small.height / 2:
        return exact(image)
    change = change.resize((change.width * _SHARED, change.height * _SHARED), Image.Resampling.NEAREST)
    whole = ImageChops.add(image, change, 1, -128)  # as large as the smaller of both, which is the picture
    for left, top, right, bottom in tiles:
        box = (left, top, min(right, image.width), min(bottom, image.height))
        part = exact(image.crop(box))
        if part is None:
            return None
        whole.paste(part, box)
    return whole


def _above_tolerance(difference: Image.Image) -> Image.Image:
    red, green, blue = difference.split()
    worst = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return worst.point([0] * (_TOLERANCE + 1) + [255] * (255 - _TOLERANCE))


def _tiles(wrong: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes, in pixels of the picture, of the tiles with a wrong block in them or just beside."""
    if wrong.getbbox() is None:
        return
    for top in range(0, wrong.height, _TILE):
        for left in range(0, wrong.width, _TILE):
            if wrong.crop((left - 1, top - 1, left + _TILE + 1, top + _TILE + 1)).getbbox():
                yield (left * _SHARED, top * _SHARED, (left + _TILE) * _SHARED, (top + _TILE) * _SHARED)
