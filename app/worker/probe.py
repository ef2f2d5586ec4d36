"""What a picture's header says, and whether it may be decoded at all."""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image, ImageFile, UnidentifiedImageError

from app.domain.errors import PictureError
from app.domain.models import FailureCode
from app.worker import gif
from app.worker.formats import limit_pixels, open_picture
from app.worker.jobs import Job
from app.worker.memory import ran_out

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

# Bytes of memory that decoding takes for each pixel of the header, opaque and with alpha (premultiplied at full size):
# what 12, 24 and 48 MP of each add to a fresh process (`python -m benchmarks.render.memory`), rounded up. Measured:
# PNG 4.4 and 8.4, WebP 16.0 and 16.7, GIF 5.6, AVIF 8.9 and 12.0, HEIC 7.2. A baseline JPEG adds 45 MB at any size, for
# it is scaled while it is decoded; a progressive one 3.0 a pixel with halved chroma. TIFF and BMP measure under 5 at
# 8 bits a channel; their figures are for what else they may hold: 16 bits, planes, palettes.
#
# A function's memory follows. The default bound of 1024 MB less the overhead below holds 100 MP of every opaque format
# (111 at 9 bytes) but WebP (62), and 72 to 111 MP with alpha (WebP 59). With 110 MB for the worker and the fork server
# that makes 1134 MB; a function gets one whole CPU at 1769 MB, so that is the size, and memory is not what it is for.
_BYTES_PER_PIXEL: Final = {
    "JPEG": (5, 5),
    "MPO": (5, 5),
    "PNG": (5, 9),
    "WEBP": (16, 17),
    "GIF": (6, 10),
    "AVIF": (9, 13),
    "HEIF": (8, 12),
    "TIFF": (9, 14),
    "BMP": (6, 10),
}
_PROGRESSIVE_BYTES: Final = 6  # all coefficients of all scans, 16 bits each, without chroma subsampling
_DRAFTED: Final = 0.25  # a large JPEG comes out of the decoder at most half as wide and high
#: What a child needs beside the decoded picture: codecs, the output and its encoders.
_OVERHEAD_MB: Final = 64


@contextmanager
def faults_of_the_picture(max_pixels: int, pixels: int = 0) -> Iterator[None]:
    """Turn whatever a decoder raises on a picture of that many pixels into a `PictureError`; our own errors pass.

    Memory passes as `MemoryError`, whatever the decoder has made of it.
    """
    try:
        yield
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(str(error), max_pixels) from error
    except (*_BROKEN, MemoryError) as error:
        if ran_out(error, pixels):
            raise MemoryError from error
        raise PictureError(FailureCode.CORRUPT_IMAGE, "The picture is damaged or incomplete.") from error


def open_checked(path: Path, job: Job) -> ImageFile.ImageFile:
    """Open the file, and refuse by its header what is no picture or would cost too much. Nothing is decoded."""
    limit_pixels(job.max_pixels)
    pixels = 0
    if job.media_type == "image/webp":  # Pillow allocates the whole canvas when it opens one
        pixels = _check_webp(path, job)
    try:
        with faults_of_the_picture(job.max_pixels, pixels):
            image = open_picture(path, job.media_type)
    except PictureError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            detail = f"The file starts like {job.media_type} but cannot be read as that."
            raise PictureError(FailureCode.CORRUPT_IMAGE, detail) from error
        raise
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError(FailureCode.CORRUPT_IMAGE, "The picture has no width or no height.")
    check_size(width, height, job.max_pixels)
    _check_memory(image, job)
    return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise `PictureError` if there are more pixels than may be decoded."""
    if width * height > max_pixels:
        detail = (
            f"The picture has {width} × {height} = {width * height:,} pixels; at most {max_pixels:,} can be developed."
        )
        raise PictureError(FailureCode.TOO_MANY_PIXELS, detail)


def frames_of(image: ImageFile.ImageFile, path: Path) -> int:
    """Frames of an animation; 1 for every still, for the pages of a TIFF and for the extra pictures of phones.

    An AVIF's are counted, but it is shown by its first: see `may_animate`.
    """
    if image.format == "GIF":
        return gif.count_frames(path)
    if image.format in {"PNG", "WEBP", "AVIF"}:
        hidden = 1 if image.info.get("default_image") else 0
        return max(1, int(getattr(image, "n_frames", 1)) - hidden)
    return 1


def _check_memory(image: ImageFile.ImageFile, job: Job) -> None:
    pixels = image.width * image.height
    opaque, transparent = _BYTES_PER_PIXEL[image.format or "TIFF"]
    alpha = image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info
    cost = float(transparent if alpha else opaque)
    if image.format in {"JPEG", "MPO"}:
        cost *= _drafted(image, job)
        if "progressive" in image.info or "progression" in image.info:
            cost += _PROGRESSIVE_BYTES
    _refuse_if_costly(image.width, image.height, pixels, cost, job)


def _drafted(image: ImageFile.ImageFile, job: Job) -> float:
    widest = max(max(spec.width, spec.height or 0) for spec in job.recipe.variants)
    return _DRAFTED if min(image.size) >= 2 * widest else 1.0


def _refuse_if_costly(width: int, height: int, pixels: int, cost: float, job: Job) -> None:
    affordable = int((job.memory_mb - _OVERHEAD_MB) * 1_048_576 / cost)
    if pixels > affordable:
        detail = (
            f"The picture has {width} × {height} = {pixels:,} pixels; in this format at most {affordable:,} "
            f"fit into the memory of {job.memory_mb} MB."
        )
        raise PictureError(FailureCode.TOO_MANY_PIXELS, detail)


def _check_webp(path: Path, job: Job) -> int:
    """Refuse a WebP by its header; the pixels of its canvas, 0 if it tells none."""
    with path.open("rb") as file:
        head = file.read(30)
    width, height = webp_size(head) or (0, 0)
    check_size(width, height, job.max_pixels)
    _refuse_if_costly(width, height, width * height, _BYTES_PER_PIXEL["WEBP"][0], job)
    return width * height


def webp_size(head: bytes) -> tuple[int, int] | None:
    """The canvas of a WebP from its first 30 bytes (RFC 9649, sections 2.5 to 2.7), or None."""
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(head) >= 30:
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def _bomb(message: str, max_pixels: int) -> PictureError:
    measured = re.search(r"\((\d+) pixels\)", message)
    has = f"{int(measured[1]):,}" if measured else "too many"
    detail = f"The picture has {has} pixels; at most {max_pixels:,} can be developed."
    return PictureError(FailureCode.TOO_MANY_PIXELS, detail)
