"""Geometry of an image and its variants."""

from dataclasses import dataclass

from app.worker.jobs import Job
from app.worker.render.geometry import Shape, compute_shape
from app.worker.render.variants import orient_size, top_size

Size = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """`stored` is the size as decoded; all other sizes are as displayed, after the EXIF `orientation` (1 to 8).

    `shapes` are those of the recipe's variants, in its order. All of them can be made from the image at the size `top`.
    """

    orientation: int
    stored: Size
    displayed: Size
    shapes: tuple[Shape, ...]
    top: Size

    @property
    def stored_top(self) -> Size:
        """Return the size `top` before rotation."""
        return orient_size(self.top, self.orientation)


def lay_out(stored: Size, orientation: int, job: Job) -> Layout:
    """Build the layout. Crops are around the job's focal point, or in the center. A variant is larger than `top`."""
    width, height = job.displayed or orient_size(stored, orientation)
    shapes = tuple(compute_shape(spec, width, height, job.focal_point) for spec in job.recipe.variants)
    return Layout(orientation, stored, (width, height), shapes, top_size(shapes, width, height))
