"""What can be told of a GIF by walking its blocks, without decoding any frame."""

import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_IMAGE = 0x2C
_EXTENSION = 0x21
_COMMENT = 0xFE
#: An application's block of eleven letters, after which the packet comes as it is (XMP part 3, section 1.1.2).
_XMP = b"\xff\x0bXMP DataXMP"
_MOST_BLOCKS = 100_000
_MOST_BYTES = 1 << 20
_MOST_REMARKS = 1 << 16


def count_frames(path: Path) -> int:
    """How many frames the file holds, at least 1. What is cut off or broken ends the count (GIF89a, section 17-27)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return max(1, sum(data[at] == _IMAGE for at, _ in _walk(data)))


def notes_of(path: Path) -> dict[str, bytes]:
    """The comments of all frames, as `comment`, and the first `xmp`; Pillow gives the comments of one."""
    comments, xmp = b"", b""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at, end in islice(_walk(data), _MOST_BLOCKS):
            if data[at + 1] == _COMMENT and data[at] == _EXTENSION and len(comments) < _MOST_REMARKS:
                comments += _joined(data, at + 2)
            elif not xmp and data[at + 1 : at + 1 + len(_XMP)] == _XMP:
                first = at + 1 + len(_XMP)
                xmp = data[first : min(end, first + _MOST_BYTES)]
    return {name: value for name, value in (("comment", comments), ("xmp", xmp)) if value}


def _walk(data: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Where each frame and each extension begins and ends. Whatever is cut off or broken ends it."""
    size = len(data)
    at = 13 + _table(data[10]) if size > 10 else size
    while at < size:
        start, block = at, data[at]
        if block == _IMAGE and at + 10 < size:
            at = _skip(data, at + 11 + _table(data[at + 9]))
        elif block == _EXTENSION and at + 1 < size:
            at = _skip(data, at + 2)
        else:
            break
        yield start, at


def _joined(data: mmap.mmap, at: int) -> bytes:
    """What is in the blocks of a comment, the first 64 of them."""
    parts: list[bytes] = []
    while len(parts) < 64 and at < len(data) and (length := data[at]):
        parts.append(data[at + 1 : at + 1 + length])
        at += length + 1
    return b"".join(parts)


def _table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip(data: mmap.mmap, at: int) -> int:
    size = len(data)
    while at < size and (length := data[at]):
        at += length + 1
    return at + 1
