"""PNG reader (third edition): parses the chunks and opens the pixels of one frame.

Pillow gets a header, a palette, a transparent color and the pixels, so that no other chunk can make an image fail. An
ancillary chunk with a wrong CRC, an impossible length or invalid content is dropped, as libpng does by default. The CRC
of pixels is ignored, since they either inflate to all rows or they do not.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.frames import Box, Disposal, Frame
from app.worker.decode.piecewise import open_pieces
from app.worker.decode.png import inflate
from app.worker.decode.png.chunks import build_chunk, is_whole, read_chunks, read_compressed_pixels
from app.worker.decode.png.metadata import MOST_BYTES, Metadata

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MOST_FRAMES: Final = 10_000
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_DISPOSALS: Final = (Disposal.KEEP, Disposal.CLEAR, Disposal.UNDO)
#: Pixels from which a second thread pays off.
_LARGE: Final = 1_000_000


@dataclass(frozen=True)
class Control:
    """A frame's `fcTL`, and the offset of its first chunk of pixels."""

    box: Box
    duration: float
    disposal: Disposal
    over: bool
    at: int


@dataclass
class Png:
    """Content of a file. `at` is the offset of the first pixel chunk of the still image."""

    path: Path
    header: bytes
    palette: bytes = b""
    transparency: bytes = b""
    info: dict[str, Any] = field(default_factory=dict)
    at: int = 0
    controls: list[Control] = field(default_factory=list)
    plays: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the canvas, in pixels."""
        return int.from_bytes(self.header[:4]), int.from_bytes(self.header[4:8])

    @property
    def box(self) -> Box:
        """Box of the still image on the canvas."""
        return self.controls[0].box if self.controls else (0, 0, *self.size)

    def frames(self) -> list[Frame]:
        """Return the frames of an animation, or none."""
        return [
            Frame(control.box, self._opener(control), control.duration, control.disposal, control.over)
            for control in self.controls
        ]

    def open_still(self, *, inflated: bool, threads: int) -> ImageFile.ImageFile:
        """Open the still image at its position on the canvas."""
        return self._open(self.at, self.box, self.size, inflated=inflated, threads=threads)

    def _opener(self, control: Control) -> Any:
        left, top, right, bottom = control.box
        size = (right - left, bottom - top)
        return lambda: self._open(control.at, (0, 0, *size), size, inflated=True, threads=1)

    def _open(self, at: int, box: Box, size: tuple[int, int], *, inflated: bool, threads: int) -> ImageFile.ImageFile:
        """Open the pixels at an offset of the file, in a box of an image of that size."""
        large = threads > 1 and (box[2] - box[0]) * (box[3] - box[1]) >= _LARGE
        bits = self.header[8] * _SAMPLES[self.header[9]]
        rows = inflate.count_row_bytes(box[2] - box[0], box[3] - box[1], bits, interlaced=bool(self.header[12]))

        def pieces() -> Iterator[bytes]:
            width, height = size
            yield _SIGNATURE + build_chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + self.header[8:])
            if self.palette:
                yield build_chunk(b"PLTE", self.palette)
            if self.transparency:
                yield build_chunk(b"tRNS", self.transparency)
            if box != (0, 0, *size):
                yield build_chunk(b"fcTL", _control(box))
            pixels = compressed = read_compressed_pixels(self.path, at)
            if inflated or large:
                pixels = inflate.to_stored_blocks(compressed, rows)
            for piece in inflate.read_ahead(pixels) if large else pixels:
                yield len(piece).to_bytes(4) + b"IDAT" + piece + bytes(4)
            yield build_chunk(b"IEND", b"")

        image = open_pieces(pieces, "PNG")
        if image.mode in {"L", "RGB"} and "transparency" in image.info:
            image.info["transparency"] = _as_8_bits(image.info["transparency"], self.header[8])
        return image


def open_png(path: Path, *, inflated: bool = False, threads: int = 1) -> ImageFile.ImageFile:
    """Open the still image with its metadata in `info`, including `frames` and `frame_box`."""
    png = read_png(path)
    image = png.open_still(inflated=inflated, threads=threads)
    image.info.update(png.info)
    image.info.update(frames=max(1, len(png.controls)), loop=png.plays)
    if png.box != (0, 0, *png.size):
        image.info["frame_box"] = png.box
    return image


def read_png(path: Path) -> Png:
    """Read the chunks of a file. Raises `ImageError` if it has no pixels or is of a kind that cannot be decoded."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Reading(path, data).read()


class _Reading:
    """One pass over the chunks of a file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._data = data
        self._png = Png(path, b"")
        self._seen: set[bytes] = set()
        self._promised = 0
        self._sequence = 0
        self._open: tuple[Box, float, Disposal, bool] | None = None
        self._animated = True

    def read(self) -> Png:
        chunks = read_chunks(self._data)
        kind, at, size = next(chunks, (b"", 8, 0))
        if kind == b"CgBI":
            raise _unsupported("It is of Apple's own kind (CgBI) for iOS applications")
        if kind != b"IHDR" or size < 13 or not is_whole(self._data, at, size):
            raise ImageError(FailureCode.CORRUPT_IMAGE, "The header of the PNG is damaged.")
        self._png.header = bytes(self._data[at + 8 : at + 21])
        _check_kind(self._png.header)
        metadata = Metadata()
        for kind, at, size in chunks:
            if kind == b"IEND":
                break
            if kind in {b"IDAT", b"fdAT"}:
                self._pixels(kind, at, size)
            elif kind == b"PLTE":
                self._palette(at, size)
            elif kind[0] & 0x20 == 0:
                if not self._png.at:
                    raise _unsupported(f"It has a chunk {kind.decode()} without which it cannot be shown")
            elif is_whole(self._data, at, size):
                self._ancillary(kind, self._data[at + 8 : at + 8 + min(size, MOST_BYTES)], size, metadata)
        return self._finished(metadata)

    def _palette(self, at: int, size: int) -> None:
        if self._png.header[9] != 3 or self._png.palette or self._png.at:  # otherwise it is a suggestion
            return
        if not is_whole(self._data, at, size):
            raise ImageError(FailureCode.CORRUPT_IMAGE, "The palette of the PNG is damaged.")
        self._png.palette = self._data[at + 8 : at + 8 + min(size, 768) // 3 * 3]

    def _pixels(self, kind: bytes, at: int, size: int) -> None:
        if kind == b"fdAT":
            number = int.from_bytes(self._data[at + 8 : at + 12])
            if size < 4 or number != self._sequence or b"IDAT" not in self._seen:
                self._animated = False
            self._sequence += 1
        elif b"IDAT" not in self._seen:
            self._seen.add(b"IDAT")
            self._png.at = at
        if self._open and self._animated:
            self._png.controls.append(Control(*self._open, at))
            self._open = None

    def _ancillary(self, kind: bytes, body: bytes, size: int, metadata: Metadata) -> None:
        png, early = self._png, b"IDAT" not in self._seen
        if kind == b"fcTL":
            self._control(body)
        elif kind == b"acTL":
            if early and size == 8 and not self._promised:
                promised = int.from_bytes(body[:4])
                self._promised = promised if promised < 1 << 31 else 0
                png.plays = int.from_bytes(body[4:])
        elif kind == b"tRNS":
            if early and kind not in self._seen:
                self._seen.add(kind)
                wanted = {0: 2, 2: 6, 3: len(png.palette) // 3}.get(png.header[9], 0)
                if png.header[9] == 3 or len(body) >= wanted:
                    png.transparency = body[:wanted]
        else:
            metadata.add(kind, body, size, early=early)

    def _control(self, body: bytes) -> None:
        """Parse a frame control (PNG, section 11.3.6.2). An invalid one ends the animation before it."""
        number, width, height, left, top = (int.from_bytes(body[at : at + 4]) for at in range(0, 20, 4))
        across, down = self._png.size
        box = (left, top, left + width, top + height)
        first = b"IDAT" not in self._seen
        sound = (
            len(body) == 26
            and number == self._sequence
            and width
            and height
            and box[2] <= across
            and box[3] <= down
            and (not first or box == (0, 0, across, down))
            and body[24] <= 2
            and body[25] <= 1
        )
        self._sequence += 1
        if not sound or len(self._png.controls) >= _MOST_FRAMES:
            self._animated = False
        if self._animated:
            shown, share = int.from_bytes(body[20:22]), int.from_bytes(body[22:24]) or 100
            self._open = (box, 1000 * shown / share, _DISPOSALS[body[24]], body[25] == 1)

    def _finished(self, metadata: Metadata) -> Png:
        png = self._png
        if not png.at or (png.header[9] == 3 and not png.palette):
            missing = "pixels" if not png.at else "palette"
            raise ImageError(FailureCode.CORRUPT_IMAGE, f"The PNG has no {missing}.")
        if self._promised and png.controls:
            png.controls = png.controls[: self._promised]
            png.at = png.controls[0].at  # an image before the frames is for viewers without animation
        else:
            png.controls = []
        png.info = metadata.info()
        return png


def _check_kind(header: bytes) -> None:
    depth, kind, compression, filters, interlace = header[8:13]
    if depth not in _DEPTHS.get(kind, ()):
        detail = f"The header of the PNG is damaged: there is no color type {kind} with {depth} bits a sample."
        raise ImageError(FailureCode.CORRUPT_IMAGE, detail)
    for name, value, most in (("compression", compression, 0), ("filter", filters, 0), ("interlace", interlace, 1)):
        if value > most:
            raise _unsupported(f"Its {name} method is {value}, at most {most} is known")


def _unsupported(reason: str) -> ImageError:
    return ImageError(FailureCode.UNSUPPORTED_IMAGE, f"This kind of PNG cannot be decoded. {reason}.")


def _as_8_bits(key: Any, depth: int) -> Any:
    """Convert the transparent tone or color to 8 bits, as Pillow converts pixels but not this key.

    Grays of 2 or 4 bits are scaled, colors of 16 bits are cut to the upper 8. Bits above the depth are ignored (section
    11.3.1.1).
    """
    most = (1 << depth) - 1
    if isinstance(key, int):
        return (key & most) * 255 // most
    return tuple((part & most) >> max(depth - 8, 0) for part in key) if isinstance(key, tuple) else key


def _control(box: Box) -> bytes:
    left, top, right, bottom = box
    numbers = (0, right - left, bottom - top, left, top)
    return b"".join(number.to_bytes(4) for number in numbers) + bytes(6)
