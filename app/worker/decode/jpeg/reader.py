"""JPEG reader (ITU-T T.81): parses the segments and opens the file without those that decoding does not need.

Pillow gets the tables, the frame, the scans, and the two application segments that declare colors. The other segments
are parsed here, so that a broken one cannot make an image fail.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from PIL import ImageFile

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.decode.jpeg.ending import refuse_missing_pixels
from app.worker.decode.jpeg.segments import APP0, COM, SOF, SOS, Frame, Segment, read_segments
from app.worker.decode.photoshop import parse_resources
from app.worker.decode.piecewise import open_pieces, read_range

_EXIF: Final = b"Exif\0"  # and one more byte, which browsers ignore
_EXIF_PREFIX: Final = 6
_SEVERAL_IMAGES: Final = b"MPF\0"  # CIPA DC-007
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_ICC: Final = b"ICC_PROFILE\0"
_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_END: Final = b"\xff\xd9"
#: Replaces the end of an image in one scan. libjpeg would fill missing pixels before that end with gray; without it
#: libjpeg runs out of bytes. It reads this many more than it needs.
_PADDING: Final = bytes(12)
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
#: Bytes of a block that are kept; longer ones span several segments.
_MOST_BYTES: Final = 1 << 20
_LARGEST_PROFILE: Final = 4 << 20
#: Frames of kinds that libjpeg-turbo does not decode.
_KINDS: Final = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE), "Hierarchical JPEG"),
    0xC8: "JPEG of a reserved kind",
    0xCB: "Lossless JPEG with arithmetic coding",
    0xF7: "JPEG-LS",
}
_LOSSLESS: Final = 0xC3


@dataclass
class _Metadata:
    """Metadata of the application segments."""

    exif: bytes = b""
    xmp: bytes = b""
    photoshop: bytes = b""
    comment: bytes = b""
    profile: dict[int, bytes] = field(default_factory=dict)
    pieces: int = 0
    thumbnail: bool = False
    several_images: bool = False

    def add(self, segment: Segment) -> None:
        marker, body = segment.marker, segment.body
        if marker == COM:
            self.comment = self.comment or body
        elif marker == 0xE1 and body.startswith(_EXIF) and len(self.exif) < _MOST_BYTES:
            self.exif += body[_EXIF_PREFIX:] if self.exif else body
        elif marker == 0xE1 and body.startswith(_XMP):
            self.xmp = self.xmp or body[len(_XMP) :]
        elif marker == 0xE2 and body.startswith(_SEVERAL_IMAGES):
            self.several_images = True
        elif marker == 0xE2 and body.startswith(_ICC) and len(body) > 14:
            self.profile.setdefault(body[12], body[14:])
            self.pieces = self.pieces or body[13]
        elif marker == 0xED and body.startswith(_PHOTOSHOP) and len(self.photoshop) < _MOST_BYTES:
            self.photoshop += body[len(_PHOTOSHOP) :]
        elif marker == APP0:  # a JFIF thumbnail or extension (JFIF 1.02, pages 5 and 7)
            shows = body.startswith(b"JFIF\0") and len(body) > 14 and body[12] * body[13] > 0
            self.thumbnail |= shows or body.startswith(b"JFXX\0")

    def info(self) -> dict[str, Any]:
        """Return the metadata as Pillow has it in `Image.info`."""
        profile = b"".join(self.profile[number] for number in sorted(self.profile))
        whole = sorted(self.profile) == list(range(1, self.pieces + 1)) and len(profile) <= _LARGEST_PROFILE
        metadata = {
            "exif": self.exif,
            "xmp": self.xmp,
            "photoshop": parse_resources(self.photoshop),
            "comment": self.comment,
            "icc_profile": profile if whole else b"",
            "thumbnails": self.thumbnail,
            "several_images": self.several_images,
        }
        return {name: value for name, value in metadata.items() if value}


@dataclass
class _Jpeg:
    """The first image of a file: the bytes that Pillow gets before its first scan, and the offsets of the scans."""

    path: Path
    head: bytes
    frame: Frame
    metadata: _Metadata
    start: int
    end: int
    tail: bytes
    is_ended: bool

    def open(self, filler: bytes = b"") -> ImageFile.ImageFile:
        """Open it, header only, with bytes appended to the file."""

        def pieces() -> Iterator[bytes]:
            yield self.head
            yield from read_range(self.path, self.start, self.end)
            yield filler + self.tail

        return open_pieces(pieces, "JPEG")


def open_jpeg(path: Path) -> ImageFile.ImageFile:
    """Open the first image of the file, header only, with its metadata in `Image.info` as Pillow has it.

    `info["is_cut"]` marks a file without an end of image, `info["lossless"]` one that is decoded at its full size only.
    Raises `ImageError` if there is no image or if it is of a kind that cannot be decoded.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        jpeg = _read(path, data)
    image = jpeg.open()
    image.info.update(jpeg.metadata.info())
    if not jpeg.is_ended:
        image.info["is_cut"] = True
    if jpeg.frame.marker == _LOSSLESS:
        image.info["lossless"] = True
    return image


def refuse_if_cut(image: ImageFile.ImageFile, path: Path) -> None:
    """Raise `ImageError` if an opened image has no end and lacks pixels there. This decodes it twice."""
    if not image.info.get("is_cut"):
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        jpeg = _read(path, data)
        refuse_missing_pixels(jpeg.frame, data, jpeg.start, jpeg.open)


def _read(path: Path, data: mmap.mmap) -> _Jpeg:
    metadata, head, frame = _Metadata(), bytearray(b"\xff\xd8"), None
    for segment in read_segments(data):
        if segment.marker == SOS:
            if frame is None:
                raise ImageError(FailureCode.CORRUPT_IMAGE, "The JPEG has pixels but no frame header.")
            found = data.find(_END, segment.start)
            in_one_scan = frame.marker in _SEQUENTIAL and segment.body[:1] == bytes((frame.components,))
            end, tail = len(data), b""
            if found < 0:
                tail = _END
            elif in_one_scan:
                end, tail = found, _PADDING
            while tail and data[end - 1] == 0xFF:  # half of a marker, or fill bytes
                end -= 1
            return _Jpeg(path, bytes(head), frame, metadata, segment.start, end, tail, found >= 0)
        if segment.marker in SOF or segment.marker in _KINDS:
            frame = frame or _frame(segment)
        if segment.is_for_decoding:
            head += segment.raw
        metadata.add(segment)
    raise ImageError(FailureCode.CORRUPT_IMAGE, "The JPEG ends before its pixels.")


def _frame(segment: Segment) -> Frame:
    frame = Frame(segment)
    kind = _KINDS.get(frame.marker)
    if kind is None and frame.precision != 8:
        kind = f"{'Lossless ' if frame.marker == _LOSSLESS else ''}{frame.precision}-bit JPEG"
    elif kind is None and frame.components not in {1, 3, 4}:
        kind = f"JPEG of {frame.components} components"
    elif kind is None and frame.height == 0:
        kind = "JPEG whose height follows its pixels (DNL)"
    if kind:
        raise ImageError(FailureCode.UNSUPPORTED_IMAGE, f"{kind} cannot be decoded.")
    return frame
