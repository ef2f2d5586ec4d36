"""Classification of decoder and encoder errors: a damaged image, or the memory bound of the process."""

import re
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image

from app.domain.errors import ImageError
from app.domain.models import FailureCode

#: Messages of decoders that mean a refused allocation or a broken image (found by lowering the bound for each decoder):
#: WebP, progressive JPEG, HEIC and AVIF.
_AMBIGUOUS: Final = (
    "could not create decoder object",
    "failed to read next frame",
    "broken data stream",
    "decoder plugin generated an error",
    "unexpected c++ exception",
    "failed to decode",
)
#: Pillow's messages for libwebp's VP8_ENC_ERROR_OUT_OF_MEMORY and VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY, and Python's
#: when a thread's stack cannot be allocated.
_PLAIN: Final = frozenset({"encoding error 1", "encoding error 2", "can't start new thread"})
#: Bytes per pixel of a decoder's largest single buffer: four channels.
_ONE_BUFFER: Final = 4
#: More bytes than any decoder needs: per pixel, and in addition.
_PLENTY, _PLENTY_IN_ADDITION = 32, 64 * 1024 * 1024

#: Exceptions of Pillow's plugins on broken files (measured on public corpora).
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
def decoder_errors(max_pixels: int, pixels: int = 0) -> Iterator[None]:
    """Turn an exception of a decoder on an image of that many pixels into an `ImageError`.

    An `ImageError` and exceptions of our own pass. Lack of memory is raised as `MemoryError`, in any form in which the
    decoder reports it.
    """
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(str(error), max_pixels) from error
    except (*_BROKEN, MemoryError) as error:
        if is_out_of_memory(error, pixels):
            raise MemoryError from error
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The image is damaged or incomplete.") from error


@contextmanager
def memory_errors(pixels: int) -> Iterator[None]:
    """Raise `MemoryError` for any form in which an encoder of that many pixels reports it; other exceptions pass."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error, pixels):
            raise MemoryError from error
        raise


def is_out_of_memory(error: BaseException, pixels: int) -> bool:
    """Return True if an error on an image of that many pixels means that it needs more memory than the bound allows.

    An ambiguous error is decided by the part of the bound that was never used, even at the peak. It was memory if that
    part could not hold the image once more. If it could hold the image many times, even a `MemoryError` was none: the
    file claims a length that it does not have.
    """
    left = _unused_memory()
    if isinstance(error, MemoryError):
        return left is None or left < pixels * _PLENTY + _PLENTY_IN_ADDITION
    text = str(error).lower()
    if text in _PLAIN or "out of memory" in text or ("memory allocation" in text and "security limit" not in text):
        return True
    return left is not None and left < pixels * _ONE_BUFFER and any(part in text for part in _AMBIGUOUS)


def _unused_memory() -> int | None:
    """Return the bytes of the bound on address space that this process has never used; None if that is unknown."""
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    if bound == resource.RLIM_INFINITY:
        return None
    try:
        status = Path("/proc/self/status").read_text()
        return bound - 1024 * int(status.split("VmPeak:")[1].split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _too_many_pixels(message: str, max_pixels: int) -> ImageError:
    """Build the error for Pillow's warning about a decompression bomb, which gives the number of pixels."""
    found = re.search(r"\((\d+) pixels\)", message)
    pixels = f"{int(found[1]):,}" if found else "too many"
    detail = f"The image has {pixels} pixels; at most {max_pixels:,} can be processed."
    return ImageError(FailureCode.TOO_MANY_PIXELS, detail)
