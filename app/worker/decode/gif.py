"""GIF89a reader: parses the blocks and opens each frame as a GIF of its own.

Pillow gets a header, the colors, the transparent color and the pixels of one frame. So a broken extension cannot make
an image fail. `frames.Canvas` paints the frames as browsers do.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from PIL import ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.frames import Box, Disposal, Frame
from app.worker.decode.piecewise import MOST_SEARCHES, open_pieces, read_range

_IMAGE: Final = 0x2C
_EXTENSION: Final = 0x21
_COMMENT: Final = 0xFE
_CONTROL: Final = 0xF9
_APPLICATION: Final = 0xFF
#: Applications whose block holds the number of repetitions.
_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
#: Application block of eleven letters, followed by the packet without sub-blocks (XMP part 3, section 1.1.2).
_XMP: Final = b"\xff\x0bXMP DataXMP"
_MOST_BLOCKS: Final = 100_000
_BLOCKS: Final = b",!;"
#: A frame with or without its control extension; the limits of a search for it.
_FRAME: Final = re.compile(rb"(?:!\xf9\x04.{4}\0)?,.{9}", re.DOTALL)
_SEARCHED: Final = 1 << 16
_MOST_CANDIDATES: Final = 200
_MOST_BYTES: Final = 1 << 20
_MOST_REMARKS: Final = 1 << 16
#: Browsers treat the reserved value 4 as 3 and the others as none.
_DISPOSALS: Final = {2: Disposal.CLEAR, 3: Disposal.UNDO, 4: Disposal.UNDO}


@dataclass(frozen=True)
class _Image:
    """An image block: its box, colors, the offsets of its compressed pixels, and its control extension."""

    path: Path
    box: Box
    colors: bytes
    interlaced: bool
    start: int
    end: int
    control: bytes

    @property
    def transparent(self) -> int | None:
        return self.control[3] if self.control and self.control[0] & 1 else None

    @property
    def duration(self) -> float:
        return 10.0 * int.from_bytes(self.control[1:3], "little") if self.control else 0.0

    @property
    def disposal(self) -> Disposal:
        return _DISPOSALS.get(self.control[0] >> 2 & 7, Disposal.KEEP) if self.control else Disposal.KEEP

    def open(self, left: int, top: int, size: tuple[int, int]) -> ImageFile.ImageFile:
        """Open it at a position on a canvas of that size."""

        def pieces() -> Iterator[bytes]:
            table = (len(self.colors) // 3).bit_length() - 2
            flags = 0x80 | table if self.colors else 0
            yield b"GIF89a" + _shorts(*size) + bytes((flags, 0, 0)) + self.colors
            if self.transparent is not None:
                yield bytes((_EXTENSION, _CONTROL, 4, 1, 0, 0, self.transparent, 0))
            box = _shorts(left, top, self.box[2] - self.box[0], self.box[3] - self.box[1])
            yield bytes((_IMAGE,)) + box + bytes((self.interlaced << 6,))
            yield from read_range(self.path, self.start, self.end)
            yield b";"

        return open_pieces(pieces, "GIF")


def open_gif(path: Path) -> ImageFile.ImageFile:
    """Open the first frame, header only, with `frames`, `frame_box` and `loop` in its `info`.

    The canvas is made as large as the first frame, as browsers do. Raises `ImageError` if there is none.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first = next(_images(path, data), None)
        if first is None:
            raise ImageError(FailureCode.CORRUPT_IMAGE, "The GIF has no frame.")
        size = _canvas(data, first)
        info: dict[str, Any] = {"frames": _count(data), "loop": _loop(data)}
    image = first.open(*first.box[:2], size)
    image.info.update(info)
    if first.box != (0, 0, *size):
        image.info["frame_box"] = first.box
    return image


def read_frames(path: Path, most: int) -> list[Frame]:
    """Read the first `most` frames of the file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = list(islice(_images(path, data), most))
    return [
        Frame(
            image.box,
            partial(image.open, 0, 0, (image.box[2] - image.box[0], image.box[3] - image.box[1])),
            image.duration,
            image.disposal,
            over=image.transparent is not None,
        )
        for image in found
    ]


def count_frames(path: Path) -> int:
    """Count the frames of the file, at least 1. A broken block ends the count (GIF89a, sections 17 to 27)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return max(1, _count(data))


def read_notes(path: Path) -> dict[str, bytes]:
    """Read the comments of all frames, as `comment`, and the first `xmp`."""
    comments, xmp = b"", b""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at, end in islice(_walk(data), _MOST_BLOCKS):
            if data[at + 1] == _COMMENT and data[at] == _EXTENSION and len(comments) < _MOST_REMARKS:
                comments += _joined(data, at + 2)
            elif not xmp and data[at + 1 : at + 1 + len(_XMP)] == _XMP:
                first = at + 1 + len(_XMP)
                xmp = data[first : min(end, first + _MOST_BYTES)]
    return {name: value for name, value in (("comment", comments), ("xmp", xmp)) if value}


def _images(path: Path, data: mmap.mmap) -> Iterator[_Image]:
    """Yield the image blocks that have a size. Control extensions of an unusual form are ignored."""
    shared = data[13 : 13 + _table(data[10])] if len(data) > 13 else b""
    control = b""
    for at, end in _walk(data):
        if data[at] == _EXTENSION:
            if data[at + 1] == _CONTROL and data[at + 2 : at + 3] == b"\4" and data[at + 7 : at + 8] == b"\0":
                control = data[at + 3 : at + 7]
            continue
        left, top, width, height = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (1, 3, 5, 7))
        start = at + 10 + _table(data[at + 9])
        if width and height:
            colors = data[at + 10 : start] or shared
            interlaced = bool(data[at + 9] & 0x40)
            yield _Image(path, (left, top, left + width, top + height), colors, interlaced, start, end, control)
        control = b""


def _count(data: mmap.mmap) -> int:
    """Count the image blocks that have a size."""
    none = b"\0\0"
    return sum(
        data[at] == _IMAGE and none not in (data[at + 5 : at + 7], data[at + 7 : at + 9]) for at, _ in _walk(data)
    )


def _canvas(data: mmap.mmap, first: _Image) -> tuple[int, int]:
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    return max(width, first.box[2]), max(height, first.box[3])


def _loop(data: mmap.mmap) -> int | None:
    """Return the number of repetitions, 0 for ever; None if the file declares none."""
    for at, _ in islice(_walk(data), _MOST_BLOCKS):
        if data[at] == _EXTENSION and data[at + 1 : at + 3] == b"\xff\x0b" and data[at + 3 : at + 14] in _LOOPS:
            body = data[at + 14 : at + 18]
            if len(body) == 4 and body[0] >= 3 and body[1] & 7 == 1:
                return int.from_bytes(body[2:], "little")
    return None


def _walk(data: mmap.mmap) -> Iterator[tuple[int, int]]:
    """Yield start and end of each frame and extension.

    After an extension of a wrong length the walk continues at the next frame. Any other broken block ends it.
    """
    size, searches = len(data), MOST_SEARCHES
    at = 13 + _table(data[10]) if size > 10 else size
    while at < size:
        start, block = at, data[at]
        if block == _IMAGE and at + 10 < size:
            at = _skip(data, at + 11 + _table(data[at + 9]))
        elif block == _EXTENSION and at + 1 < size:
            at = _skip(data, at + 2)
            if searches and (at > size or (at < size and data[at] not in _BLOCKS)):
                searches -= 1
                resumed = _resumed(data, start + 2)
                if resumed is not None:
                    at = resumed
                    continue
        else:
            break
        yield start, at


def _resumed(data: mmap.mmap, first: int) -> int | None:
    """Find the next frame, or its control extension, after an extension of a wrong length."""
    canvas = tuple(int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    for tried, found in enumerate(_FRAME.finditer(data, first, first + _SEARCHED)):
        at = found.end() - 10
        left, top, width, height = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (1, 3, 5, 7))
        start = at + 10 + _table(data[at + 9])
        inside = width and height and left + width <= canvas[0] and top + height <= canvas[1]
        if inside and 2 <= int.from_bytes(data[start : start + 1]) <= 8 and _skip(data, start + 1) <= len(data):
            return found.start()
        if tried >= _MOST_CANDIDATES:
            break
    return None


def _joined(data: mmap.mmap, at: int) -> bytes:
    """Join the first 64 blocks of a comment."""
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


def _shorts(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)
