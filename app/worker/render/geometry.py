"""Size of each variant and the part of the image that it shows, in displayed pixels."""

from typing import NamedTuple

from app.domain.models import FocalPoint
from app.domain.recipe import Fit, VariantSpec
from app.worker.jobs import MAX_SIDE

_CENTER = FocalPoint(x=0.5, y=0.5)


class Shape(NamedTuple):
    """An output of `size` that shows `box` (left, top, right, bottom) of an image; with `whole` all of it."""

    size: tuple[int, int]
    box: tuple[float, float, float, float]
    whole: bool

    @property
    def scale(self) -> float:
        """Output pixels per displayed pixel, at most 1, along the side with the larger ratio."""
        left, top, right, bottom = self.box
        return max(self.size[0] / (right - left), self.size[1] / (bottom - top))


def compute_shape(spec: VariantSpec, width: int, height: int, focal_point: FocalPoint | None) -> Shape:
    """Compute the shape of a variant for an image of that size. Nothing is enlarged, and no side is 0."""
    if spec.fit is Fit.COVER and spec.height is not None:
        return _cover(width, height, spec.width, spec.height, focal_point or _CENTER)
    return _inside(width, height, spec.width, spec.height or MAX_SIDE)


def _inside(width: int, height: int, box_width: int, box_height: int) -> Shape:
    if width <= box_width and height <= box_height:
        size = (width, height)
    elif width * box_height >= height * box_width:  # the width decides and is exact
        size = (box_width, max(1, round(height * box_width / width)))
    else:
        size = (max(1, round(width * box_height / height)), box_height)
    return Shape(size, (0, 0, width, height), whole=True)


def _cover(width: int, height: int, box_width: int, box_height: int, focus: FocalPoint) -> Shape:
    scale = max(box_width / width, box_height / height)
    if scale <= 1:
        size = (box_width, box_height)
        part = (min(width, box_width / scale), min(height, box_height / scale))
    else:  # smaller than the box: crop to its aspect ratio, without scaling
        cut_width = max(1, min(width, round(height * box_width / box_height)))
        cut_height = max(1, min(height, round(width * box_height / box_width)))
        part = size = (cut_width, cut_height)
    left = min(max(focus.x * width - part[0] / 2, 0), width - part[0])
    top = min(max(focus.y * height - part[1] / 2, 0), height - part[1])
    if scale > 1:  # nothing is resampled, so the crop must lie on whole pixels
        left, top = round(left), round(top)
    return Shape(size, (left, top, left + part[0], top + part[1]), whole=part == (width, height))
