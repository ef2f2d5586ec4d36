"""Check of an image's header: its size, and the memory that decoding it takes."""

from pathlib import Path

from PIL import ImageFile, UnidentifiedImageError

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.formats import limit_pixels, open_image
from app.worker.decode.webp import read_webp
from app.worker.jobs import Job
from app.worker.pipeline.memory_estimate import check_memory, webp_canvas
from app.worker.pipeline.out_of_memory import decoder_errors
from app.worker.pipeline.plan import Plan, make_plan


def open_checked(path: Path, job: Job) -> tuple[ImageFile.ImageFile, Plan]:
    """Open the file and plan its processing. Nothing is decoded.

    Raises `ImageError` for a file that is not of the job's type, or whose header asks for too many pixels or too much
    memory.
    """
    limit_pixels(job.max_pixels)
    pixels = 0
    if job.media_type == "image/webp":  # Pillow allocates the whole canvas when it opens one
        with decoder_errors(job.max_pixels):
            pixels = _check_webp(path, job)
    try:
        with decoder_errors(job.max_pixels, pixels):
            image = open_image(path, job.media_type, threads=job.threads)
    except ImageError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            detail = f"The file starts like {job.media_type} but cannot be read as that."
            raise ImageError(FailureCode.CORRUPT_IMAGE, detail) from error
        raise
    if min(image.size) < 1:
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The image has no width or no height.")
    check_size(image.size, job)
    with decoder_errors(job.max_pixels):  # tags with any content are read here
        plan = make_plan(image, path, job)
        check_memory(image.size, plan.memory.still, job)
    return image, plan


def check_size(size: tuple[int, int], job: Job) -> None:
    """Raise `ImageError` if there are more pixels than may be decoded."""
    width, height = size
    if width * height > job.max_pixels:
        detail = (
            f"The image has {width} × {height} = {width * height:,} pixels; "
            f"at most {job.max_pixels:,} can be processed."
        )
        raise ImageError(FailureCode.TOO_MANY_PIXELS, detail)


def _check_webp(path: Path, job: Job) -> int:
    """Check a WebP by its header and return the number of pixels of its canvas."""
    size = read_webp(path).size
    check_size(size, job)
    check_memory(size, webp_canvas(size), job)
    return size[0] * size[1]
