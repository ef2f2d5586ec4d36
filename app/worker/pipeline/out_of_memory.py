"""Telling a picture that is broken from one that ran into its memory bound inside a decoder."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: What decoders say when they were refused memory, and of broken pictures too (found by lowering the bound on each):
#: WebP's, progressive JPEG's, HEIC's and AVIF's.
_AMBIGUOUS: Final = (
    "could not create decoder object",
    "failed to read next frame",
    "broken data stream",
    "decoder plugin generated an error",
    "unexpected c++ exception",
    "failed to decode",
)
#: What Pillow says of libwebp's two errors of that kind, VP8_ENC_ERROR_OUT_OF_MEMORY and _BITSTREAM_OUT_OF_MEMORY, and
#: Python when there is no room for a thread's stack.
_PLAIN: Final = frozenset({"encoding error 1", "encoding error 2", "can't start new thread"})
#: A decoder's largest single buffer: four channels of a picture.
_ONE_BUFFER: Final = 4
#: More than any decoder takes for a pixel, and for the rest.
_PLENTY, _PLENTY_BESIDE = 32, 64 * 1024 * 1024


def ran_out(error: BaseException, pixels: int) -> bool:
    """Whether an error on a picture of that many pixels means that it needs more memory than there is.

    What was never used of the bound, at the worst moment, decides what the error leaves open. When that would not
    have held the picture once more, memory it was. When it would have held it many times over, even a `MemoryError`
    was none: then the file claims a length that it does not have.
    """
    left = _left()
    if isinstance(error, MemoryError):
        return left is None or left < pixels * _PLENTY + _PLENTY_BESIDE
    text = str(error).lower()
    if text in _PLAIN or "out of memory" in text or ("memory allocation" in text and "security limit" not in text):
        return True
    return left is not None and left < pixels * _ONE_BUFFER and any(words in text for words in _AMBIGUOUS)


@contextmanager
def told_from_faults(pixels: int) -> Iterator[None]:
    """Raise `MemoryError` for whatever an encoder of that many pixels has made of it; all else passes."""
    try:
        yield
    except Exception as error:
        if ran_out(error, pixels):
            raise MemoryError from error
        raise


def _left() -> int | None:
    """Bytes of the bound on address space that this process has never used; None where that cannot be known."""
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    if bound == resource.RLIM_INFINITY:
        return None
    try:
        status = Path("/proc/self/status").read_text()
        return bound - 1024 * int(status.split("VmPeak:")[1].split()[0])
    except (OSError, ValueError, IndexError):
        return None
