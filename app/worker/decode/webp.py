"""WebP reader (RFC 9649): parses the chunks and opens the pixels in a new container.

Pillow gets the bitstream of a still or the frames of an animation. So wrong flags, sizes and metadata of the original
container cannot make an image fail.
"""

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.piecewise import MOST_SEARCHES, open_pieces, read_range

_ANIMATED, _ALPHA = 0x02, 0x10
_MOST_CHUNKS: Final = 100_000
_MOST_BYTES: Final = 4 << 20
_SEARCHED: Final = 1 << 20
_MOST_CANDIDATES: Final = 50
_NAME: Final = re.compile(rb"[ -~]{4}")
_NEXT: Final = re.compile(rb"VP8 |VP8L|ALPH|ANIM|ANMF")
_METADATA: Final = {b"ICCP": "icc_profile", b"EXIF": "exif", b"XMP ": "xmp"}
#: Offset and size of each frame, its duration and its flags.
_FRAME_HEADER: Final = 16
#: Background, which browsers ignore, and endless repetition.
_ANIM: Final = b"\xff\xff\xff\xff\0\0"


@dataclass
class Webp:
    """Contents of a file: its canvas, metadata, and the start and end of its image chunks."""

    path: Path
    size: tuple[int, int] = (0, 0)
    still: list[tuple[int, int]] = field(default_factory=list)
    frames: list[tuple[int, int]] = field(default_factory=list)
    anim: bytes = _ANIM
    has_alpha: bool = False
    info: dict[str, Any] = field(default_factory=dict)

    def open(self) -> ImageFile.ImageFile:
        """Open it, header only, with its `exif`, `xmp` and `icc_profile`. The decoder allocates its memory now."""
        parts = self.still or self.frames
        body = 4 + sum(end - start + (end - start) % 2 for start, end in parts)
        head = b""
        if not self.still or len(self.still) > 1:
            flags = (_ALPHA if self.has_alpha else 0) | (0 if self.still else _ANIMATED)
            sides = b"".join((side - 1).to_bytes(3, "little") for side in self.size)
            head = b"VP8X\x0a\0\0\0" + bytes((flags, 0, 0, 0)) + sides
            head += b"" if self.still else b"ANIM\x06\0\0\0" + self.anim
        riff = b"RIFF" + (body + len(head)).to_bytes(4, "little") + b"WEBP" + head

        def pieces() -> Iterator[bytes]:
            yield riff
            for start, end in parts:
                yield from read_range(self.path, start, end)
                yield b"\0" * ((end - start) % 2)

        image = open_pieces(pieces, "WEBP")
        image.info.update(self.info)
        return image


def open_webp(path: Path) -> ImageFile.ImageFile:
    """Open the file, see `Webp.open`."""
    return read_webp(path).open()


def read_webp(path: Path) -> Webp:
    """Read the chunks of a file. Raises `ImageError` if no image in it is whole."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        webp = Webp(path)
        alpha: list[tuple[int, int]] = []
        for kind, start, size in _chunks(data):
            place = (start, start + 8 + size)
            if kind == b"ANMF" and size > _FRAME_HEADER + 8:
                webp.frames.append(place)
            elif kind == b"ALPH":
                alpha = [place]
            elif kind in {b"VP8 ", b"VP8L"} and not webp.still:
                webp.still = [*alpha, place] if kind == b"VP8 " and webp.has_alpha else [place]
            else:
                _add_metadata(webp, kind, data[start + 8 : start + 8 + min(size, _MOST_BYTES + 1)])
        if webp.frames:  # a still image next to frames is ignored
            webp.still = []
            boxes = [webp.size, *(_box(data, start + 8) for start, _ in webp.frames)]
            webp.size = (max(right for right, _ in boxes), max(bottom for _, bottom in boxes))
        elif webp.still:
            start = webp.still[-1][0]
            webp.size = read_bitstream_size(data[start : start + 18]) or (0, 0)
    if not webp.still and not webp.frames:
        raise ImageError(FailureCode.CORRUPT_IMAGE, "The WebP ends before its first image does.")
    return webp


def _add_metadata(webp: Webp, kind: bytes, body: bytes) -> None:
    """Store the content of a chunk without pixels. The first of duplicates counts."""
    if kind in _METADATA and len(body) <= _MOST_BYTES:
        webp.info.setdefault(_METADATA[kind], body)
    elif kind == b"VP8X" and len(body) >= 10 and webp.size == (0, 0):
        webp.size = (int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
        webp.has_alpha = bool(body[0] & _ALPHA)
    elif kind == b"ANIM" and len(body) >= 6:
        webp.anim = body[:6]


def read_bitstream_size(chunk: bytes) -> tuple[int, int] | None:
    """Read the size of an image from the first 18 bytes of its chunk (sections 2.5 and 2.6), or None."""
    if chunk[:4] == b"VP8L" and len(chunk) >= 13 and chunk[8] == 0x2F:
        bits = int.from_bytes(chunk[9:13], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk[:4] == b"VP8 " and len(chunk) >= 18 and chunk[11:14] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", chunk, 14)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _chunks(data: mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and length of each complete chunk. One with a wrong length is skipped."""
    at, searches = 12, MOST_SEARCHES
    for _ in range(_MOST_CHUNKS):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size
        if len(data) < at + 8 or not _NAME.fullmatch(kind):
            return
        pixels = _NEXT.fullmatch(kind)
        if not pixels and searches and not _follows(data, end + size % 2):
            searches -= 1
            found = _resumed(data, at + 8)
            if found is None and end > len(data):
                return
            at = found or end + size % 2
            continue
        if end > len(data):
            return
        yield kind, at, size
        at = end + size % 2


def _follows(data: mmap.mmap, at: int) -> bool:
    """Return True if a chunk may begin there, or the file ends about there."""
    return len(data) - 8 <= at <= len(data) + 1 or _NAME.fullmatch(data[at : at + 4]) is not None


def _resumed(data: mmap.mmap, first: int) -> int | None:
    """Find the next chunk of pixels after one whose length is wrong."""
    for tried, found in enumerate(_NEXT.finditer(data, first, first + _SEARCHED)):
        at = found.start()
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        bitstream = found[0] in {b"VP8 ", b"VP8L"}
        if at + 8 + size <= len(data) and (not bitstream or read_bitstream_size(data[at : at + 18])):
            return at
        if tried >= _MOST_CANDIDATES:
            break
    return None


def _box(data: mmap.mmap, at: int) -> tuple[int, int]:
    """Return the right and bottom edge of a frame."""
    left, top = 2 * _three(data, at), 2 * _three(data, at + 3)
    return left + _three(data, at + 6) + 1, top + _three(data, at + 9) + 1


def _three(data: mmap.mmap, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
