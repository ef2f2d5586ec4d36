"""Plan of an image: all that its header decides. It is computed once, before any pixel is decoded."""

from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFile

from app.worker.decode.animation import can_animate
from app.worker.decode.heif.reader import shown_size
from app.worker.jobs import Job
from app.worker.metadata.orientation import read_orientation
from app.worker.pipeline.layout import Layout, lay_out
from app.worker.pipeline.memory_estimate import Memory, estimate_memory


@dataclass(frozen=True)
class Plan:
    """`pixels` are those of the header, `frames` those of an animation (1 for a still).

    With `animated` all frames are processed, otherwise the first one only.
    """

    layout: Layout
    pixels: int
    frames: int
    memory: Memory
    animated: bool


def make_plan(image: ImageFile.ImageFile, path: Path, job: Job) -> Plan:
    """Build the plan of an image that has been opened and not yet decoded."""
    layout = lay_out(shown_size(image), read_orientation(image), job)
    frames = count_frames(image)
    memory = estimate_memory(image, path, layout, frames, job)
    return Plan(
        layout=layout,
        pixels=image.width * image.height,
        frames=frames,
        memory=memory,
        animated=can_animate(image, frames, layout.top, job) and memory.animation <= job.memory_mb * 1_048_576,
    )


def count_frames(image: ImageFile.ImageFile) -> int:
    """Return the number of frames of an animation; 1 for a still, the pages of a TIFF and the extra images of phones.

    The frames of an AVIF are counted, but only the first one is shown: see `can_animate`.
    """
    if image.format in {"WEBP", "AVIF"}:
        return max(1, int(getattr(image, "n_frames", 1)))
    return int(image.info.get("frames", 1))
