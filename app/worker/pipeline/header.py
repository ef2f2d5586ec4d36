"""Check of an image's header: its size, and the memory that decoding it takes."""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image, ImageFile, UnidentifiedImageError

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.formats import limit_pixels, open_picture
from app.worker.decode.webp import read_webp
from app.worker.jobs import Job
from app.worker.pipeline.memory_estimate import check_cost, check_webp_canvas
from app.worker.pipeline.out_of_memory import ran_out

# Pillow's plugins raise all of these on files that are broken in one way or another (measured on public corpora).
_BROKEN: Final = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    EOFError,
    RuntimeError,
    struct.error,
)


@contextmanager
def faults_of_the_picture(max_pixels: int, pixels: int = 0) -> Iterator[None]:
    """Turn whatever a decoder raises on a picture of that many pixels into a `ImageError`; our own errors pass.

    Memory passes as `MemoryError`, whatever the decoder has made of it.
    """
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(str(error), max_pixels) from error
    except (*_BROKEN, MemoryError) as error:
        if ran_out(error, pixels):
            raise MemoryError from error
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The picture is damaged or incomplete.") from error


def open_checked(path: Path, job: Job) -> ImageFile.ImageFile:
    """Open the file, and refuse by its header what is no picture or would cost too much. Nothing is decoded."""
    limit_pixels(job.max_pixels)
    pixels = 0
    if job.media_type == "image/webp":  # Pillow allocates the whole canvas when it opens one
        with faults_of_the_picture(job.max_pixels):
            pixels = _check_webp(path, job)
    try:
        with faults_of_the_picture(job.max_pixels, pixels):
            image = open_picture(path, job.media_type, threads=job.threads)
    except ImageError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            detail = f"The file starts like {job.media_type} but cannot be read as that."
            raise ImageError(FailureCode.CORRUPT_IMAGE, detail) from error
        raise
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The picture has no width or no height.")
    check_size(width, height, job.max_pixels)
    with faults_of_the_picture(job.max_pixels):  # its tags may say anything
        check_cost(image, path, job)
    return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise `ImageError` if there are more pixels than may be decoded."""
    if width * height > max_pixels:
        detail = (
            f"The picture has {width} × {height} = {width * height:,} pixels; at most {max_pixels:,} can be processed."
        )
        raise ImageError(FailureCode.TOO_MANY_PIXELS, detail)


def frames_of(image: ImageFile.ImageFile) -> int:
    """Frames of an animation; 1 for every still, for the pages of a TIFF and for the extra pictures of phones.

    An AVIF's are counted, but it is shown by its first: see `may_animate`.
    """
    if image.format in {"WEBP", "AVIF"}:
        return max(1, int(getattr(image, "n_frames", 1)))
    return int(image.info.get("frames", 1))


def _check_webp(path: Path, job: Job) -> int:
    """Refuse a WebP by its header; the pixels of its canvas."""
    width, height = read_webp(path).size
    check_size(width, height, job.max_pixels)
    check_webp_canvas(width, height, job)
    return width * height


def _bomb(message: str, max_pixels: int) -> ImageError:
    measured = re.search(r"\((\d+) pixels\)", message)
    has = f"{int(measured[1]):,}" if measured else "too many"
    detail = f"The picture has {has} pixels; at most {max_pixels:,} can be processed."
    return ImageError(FailureCode.TOO_MANY_PIXELS, detail)
