"""JPEG (ITU-T T.81): the segments of a file, and the file as Pillow is to see it.

Pillow gets the tables, the frame and the scans, and of applications' segments those two that say what its colors are.
The others are read here, so that a broken one cannot make an image fail.
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
from app.worker.decode.jpeg.segments import APP0, COM, SOF, SOS, Frame, Segment, segments_of
from app.worker.decode.photoshop import resources_of
from app.worker.decode.piecewise import open_pieces, stretch

_EXIF: Final = b"Exif\0"  # and one more byte, which browsers do not look at
_EXIF_PREFIX: Final = 6
_SEVERAL_IMAGES: Final = b"MPF\0"  # CIPA DC-007
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_ICC: Final = b"ICC_PROFILE\0"
_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_END: Final = b"\xff\xd9"
#: In place of the end of an image in one scan. libjpeg would fill up with grey what is missing before that end; without
#: it, it asks for more bytes than there are, but for those that it reads ahead of what it needs.
_PADDING: Final = bytes(12)
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
#: Bytes of a block that are kept; one that is longer is in several segments.
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
class _Told:
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
        elif marker == APP0:  # JFIF's with a thumbnail, or its extension, which is one (JFIF 1.02, pages 5 and 7)
            shows = body.startswith(b"JFIF\0") and len(body) > 14 and body[12] * body[13] > 0
            self.thumbnail |= shows or body.startswith(b"JFXX\0")

    def info(self) -> dict[str, Any]:
        """As Pillow has it in `Image.info`."""
        profile = b"".join(self.profile[number] for number in sorted(self.profile))
        whole = sorted(self.profile) == list(range(1, self.pieces + 1)) and len(profile) <= _LARGEST_PROFILE
        told = {
            "exif": self.exif,
            "xmp": self.xmp,
            "photoshop": resources_of(self.photoshop),
            "comment": self.comment,
            "icc_profile": profile if whole else b"",
            "thumbnails": self.thumbnail,
            "several_images": self.several_images,
        }
        return {name: value for name, value in told.items() if value}


@dataclass
class _Jpeg:
    """A file's first image: the bytes before its first scan, as Pillow is to see them, and the scan's place."""

    path: Path
    head: bytes
    frame: Frame
    told: _Told
    start: int
    end: int
    tail: bytes
    is_ended: bool

    def open(self, filler: bytes = b"") -> ImageFile.ImageFile:
        """Open it, header only, with bytes added where the file ends."""

        def pieces() -> Iterator[bytes]:
            yield self.head
            yield from stretch(self.path, self.start, self.end)
            yield filler + self.tail

        return open_pieces(pieces, "JPEG")


def open_jpeg(path: Path) -> ImageFile.ImageFile:
    """Open the file's first image, header only, with what applications say in `Image.info` as Pillow has it.

    There `is_cut` says that the file has no end of image, and `lossless` that it can only be decoded at its size.
    Raises `ImageError` if there is no image or if it is of a kind that cannot be decoded.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        jpeg = _read(path, data)
    image = jpeg.open()
    image.info.update(jpeg.told.info())
    if not jpeg.is_ended:
        image.info["is_cut"] = True
    if jpeg.frame.marker == _LOSSLESS:
        image.info["lossless"] = True
    return image


def refuse_if_cut(image: ImageFile.ImageFile, path: Path) -> None:
    """Raise `ImageError` if an opened image has no end and lacks pixels there. That takes two times to decode it."""
    if not image.info.get("is_cut"):
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        jpeg = _read(path, data)
        refuse_missing_pixels(jpeg.frame, data, jpeg.start, jpeg.open)


def _read(path: Path, data: mmap.mmap) -> _Jpeg:
    told, head, frame = _Told(), bytearray(b"\xff\xd8"), None
    for segment in segments_of(data):
        if segment.marker == SOS:
            if frame is None:
                raise ImageError(FailureCode.CORRUPT_IMAGE, "The JPEG has pixels, but no header that says how many.")
            found = data.find(_END, segment.start)
            in_one_scan = frame.marker in _SEQUENTIAL and segment.body[:1] == bytes((frame.components,))
            end, tail = len(data), b""
            if found < 0:
                tail = _END
            elif in_one_scan:
                end, tail = found, _PADDING
            while tail and data[end - 1] == 0xFF:  # half of a marker, or bytes that fill up to one
                end -= 1
            return _Jpeg(path, bytes(head), frame, told, segment.start, end, tail, found >= 0)
        if segment.marker in SOF or segment.marker in _KINDS:
            frame = frame or _frame(segment)
        if segment.is_for_decoding:
            head += segment.raw
        told.add(segment)
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
