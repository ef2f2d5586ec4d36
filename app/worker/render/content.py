"""Content of an image that its best encoding depends on."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageChops

#: Texts, diagrams and screenshots that nothing has resized have at most this many colors, photographs far more: their
#: colors are counted in less than a millisecond, because counting ends there.
_MOST_COLORS: Final = 4096
#: Least share of pixels that equal the pixel before them. Of gray photographs, which have few colors too, 2 to 30 % do;
#: of text 83 %, and more of flat illustrations.
_FLAT: Final = 0.75
#: The same for drawings of any number of colors. Of texts and diagrams that were resized, or once JPEG, at least 66 %
#: do; of photographs at most 50 %.
_DRAWN: Final = 0.6
#: Least share of pixels that equal the pixel before them among those that differ from it by at most 1. In drawings it
#: is 94 % or more; in photographs at most 66 %, and in smooth gradients 75 %.
_EDGED: Final = 0.85
#: Least ratio of the mean square of the differences between pixels and the pixels before them to the square of their
#: mean: the fewer pixels differ, the higher. Of 158 images that are not part of benchmarks.weight, 28 reach it. As
#: JPEG XL, 24 of these have 3 to 89 % more bytes than as WebP at the same SSIMULACRA2, and four up to 10 % fewer. Of 63
#: photographs, 61 have 1.7 to 11.7; eight objects on a plain ground have 6.6 to 11.6.
_SPARSE: Final = 12
#: Every eighth row tells the shares within 1 %, in a twentieth of the time.
_ROWS: Final = 8


def is_flat(image: Image.Image) -> bool:
    """Return True for an RGB or RGBA image of few colors in runs: a lossless file of it may be smaller."""
    if image.getcolors(_MOST_COLORS) is None:
        return False
    return all(counts[0] >= _FLAT * sum(counts) for counts in _count_changes(image))


def is_drawn(image: Image.Image) -> bool:
    """Return True for an RGB or RGBA image with most of its area in plain colors, such as text or a diagram."""
    return all(
        counts[0] >= max(_DRAWN * sum(counts), _EDGED * (counts[0] + counts[1]))
        for counts in _count_changes(_sample_rows(image))
    )


def has_sparse_edges(image: Image.Image) -> bool:
    """Return True for an RGB or RGBA image with few sharp edges on a smooth ground, such as a photo of a whiteboard."""
    for counts in _count_changes(_sample_rows(image).convert("L")):
        total = sum(change * pixels for change, pixels in enumerate(counts))
        squares = sum(change**2 * pixels for change, pixels in enumerate(counts))
        if squares * sum(counts) < _SPARSE * total**2:
            return False
    return True


def _sample_rows(image: Image.Image) -> Image.Image:
    return image.resize((image.width, -(-image.height // _ROWS)), Image.Resampling.NEAREST)


def _count_changes(image: Image.Image) -> Sequence[Sequence[int]]:
    """Return for each band the number of pixels by their difference from the pixel before them, 0 to 255."""
    width, height = image.size
    if width < 2:
        return []
    changes = ImageChops.difference(image.crop((1, 0, width, height)), image.crop((0, 0, width - 1, height)))
    return [band.histogram() for band in changes.split()]
