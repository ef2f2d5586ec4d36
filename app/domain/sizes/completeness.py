"""Completeness of a stored size, by the lengths that its own bytes give.

Sizes can be rendered again, so nobody waits until the disk has them. After a power failure the end of a file may be
missing, or be zeros: some file systems record a length before the bytes. Zeros before other bytes are not recognized;
only a disk that writes the parts of a file in another order leaves them.
"""

import os
from typing import BinaryIO, Final

from app.domain.media import SNIFF_BYTES, media_type_of

_JPEG_END: Final = b"\xff\xd9"
_PNG_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_JXL_START: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_MOST_BOXES: Final = 64
#: File systems allocate blocks of this many bytes.
_BLOCK: Final = 4096
#: The least zeros of a hole. A WebP of one color ends with some zeros of its own.
_LEAST_ZEROS: Final = 64


def size_type_of(head: bytes) -> str | None:
    """Return the media type of a stored size from its first `SNIFF_BYTES` bytes. JPEG XL is written, never accepted."""
    return "image/jxl" if head.startswith(_JXL_START) else media_type_of(head)


def is_complete(file: BinaryIO) -> bool:
    """Return True if the file ends where its format says. Moves its position. False for formats that no size has.

    A whole WebP may seem to end with a hole, though hardly ever. Call it for stored files only, not for a new one.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(SNIFF_BYTES)
    return _has_its_length(file, head, size) and not _ends_with_a_hole(file, size)


def _has_its_length(file: BinaryIO, head: bytes, size: int) -> bool:
    match size_type_of(head):
        case "image/webp":
            return int.from_bytes(head[4:8], "little") + 8 == size
        case "image/jpeg":
            return _ends_with(file, size, _JPEG_END)
        case "image/png":
            return _ends_with(file, size, _PNG_END)
        case "image/avif":
            return _last_box(file, size) is not None
        case "image/jxl":  # its boxes precede the code
            return _last_box(file, size) == b"jxlc"
    return False


def _ends_with(file: BinaryIO, size: int, end: bytes) -> bool:
    file.seek(max(0, size - len(end)))
    return file.read() == end


def _last_box(file: BinaryIO, size: int) -> bytes | None:
    """Return the kind of the box that ends where the file does, or None."""
    at, kind = 0, b""
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4]), head[4:]
        at += length
        if length < 8 or at >= size:
            break
    return kind if at == size else None


def _ends_with_a_hole(file: BinaryIO, size: int) -> bool:
    """Return True if the zeros at the end begin with a block, as those of blocks that were not written do."""
    begin = (size - 1) // _BLOCK * _BLOCK
    file.seek(max(0, begin - _BLOCK))
    before, last = file.read(min(begin, _BLOCK)), file.read()
    if len(last) < _LEAST_ZEROS or last.strip(b"\0"):
        return False
    return not before.endswith(b"\0") or not before.strip(b"\0")
