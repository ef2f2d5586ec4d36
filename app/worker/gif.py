"""Counting the frames of a GIF by walking its blocks, without decoding any."""

import mmap
from pathlib import Path

_IMAGE = 0x2C
_EXTENSION = 0x21


def count_frames(path: Path) -> int:
    """How many frames the file holds, at least 1. What is cut off or broken ends the count (GIF89a, section 17-27)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return max(1, _walk(data))
        except IndexError:
            return 1


def _walk(data: mmap.mmap) -> int:
    at = 13 + _table(data[10])
    frames = 0
    size = len(data)
    while at < size:
        block = data[at]
        if block == _IMAGE and at + 10 < size:
            at = _skip(data, at + 11 + _table(data[at + 9]))
            frames += 1
        elif block == _EXTENSION:
            at = _skip(data, at + 2)
        else:
            break
    return frames


def _table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip(data: mmap.mmap, at: int) -> int:
    size = len(data)
    while at < size and (length := data[at]):
        at += length + 1
    return at + 1
