"""Content of an image that its best encoding depends on."""

from typing import Final

from PIL import Image, ImageChops

#: Texts, diagrams and screenshots that nothing has resized have at most this many colors, photographs far more: their
#: colors are counted in less than a millisecond, because counting ends there.
_MOST_COLORS: Final = 4096
#: Least share of pixels that equal the pixel before them. Of gray photographs, which have few colors too, 2 to 30 % do;
#: of text 83 %, and more of flat illustrations.
_FLAT: Final = 0.75


def is_flat(image: Image.Image) -> bool:
    """Return True for an RGB or RGBA image of few colors in runs: a lossless file of it may be smaller."""
    if image.getcolors(_MOST_COLORS) is None:
        return False
    width, height = image.size
    if width < 2:
        return True
    changes = ImageChops.difference(image.crop((1, 0, width, height)), image.crop((0, 0, width - 1, height)))
    equal = [band.histogram()[0] for band in changes.split()]
    return min(equal) >= _FLAT * (width - 1) * height
