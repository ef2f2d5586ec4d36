"""Check of a JPEG without its end for missing pixels.

libjpeg silently fills missing pixels with gray. Bytes after the last pixel do not influence any pixel: the image is
decoded twice with different bytes after its end, and is complete if both results are equal.
"""

import mmap
import re
import zlib
from collections.abc import Callable
from typing import Final

from PIL import Image

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.jpeg.segments import Frame

#: Two that differ in each bit, with restart markers for images that are coded in intervals.
_FILLERS: Final = tuple(
    b"".join(bytes(zlib.crc32(bytes([at])) % 125 * 2 + 1 ^ bits for at in range(64)) + bytes((0xFF, 0xD0 + number % 8))
             for number in range(16)) for bits in (0, 0xFF))  # fmt: skip
_PROGRESSIVE: Final = 0xC2
_HUFFMAN: Final = frozenset({0xC0, 0xC1, _PROGRESSIVE})
_ROWS: Final = 64
_SCAN: Final = re.compile(rb"\xff\xda(.{2})", re.DOTALL)
_DCT: Final = 64


def refuse_missing_pixels(frame: Frame, data: mmap.mmap, start: int, opened: Callable[[bytes], Image.Image]) -> None:
    """Raise `ImageError` if pixels are missing at the end of a file without an end-of-image marker.

    `start` is the offset of the first scan; `opened` opens the image with bytes appended to the file.
    """
    whole = frame.marker in _HUFFMAN and (frame.marker != _PROGRESSIVE or _is_refined(frame, data, start))
    if not whole or len({_digest(opened(filler)) for filler in _FILLERS}) > 1:
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The JPEG is cut off: it ends before its last pixels.")


def _is_refined(frame: Frame, data: mmap.mmap, start: int) -> bool:
    """Return True if the scans of a progressive image have every coefficient of each component to its last bit."""
    body = frame.segment.body
    missing = {body[at]: set(range(_DCT)) for at in range(6, min(len(body) - 2, 6 + 3 * frame.components), 3)}
    for found in _SCAN.finditer(data, start):
        head = data[found.start() + 4 : found.start() + 2 + int.from_bytes(found[1])]
        if not head or len(head) < 4 + 2 * head[0]:
            return False
        first, last, bits = head[1 + 2 * head[0] : 4 + 2 * head[0]]
        if not bits & 0x0F:
            for at in range(head[0]):
                missing.get(head[1 + 2 * at], set()).difference_update(range(first, last + 1))
    return bool(missing) and not any(missing.values())


def _digest(image: Image.Image) -> int:
    """Compute a checksum of all pixels."""
    with image:
        image.load()
        digest = 0
        for row in range(0, image.height, _ROWS):
            part = image.crop((0, row, image.width, min(row + _ROWS, image.height)))
            digest = zlib.crc32(part.tobytes(), digest)
        return digest
