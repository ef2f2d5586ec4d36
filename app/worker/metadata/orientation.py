"""Orientation of an image by its EXIF. The rules are in `docs/images.md`."""

from typing import Final, Literal

from PIL import ImageFile

from app.worker.metadata.embedded import raw_exif
from app.worker.metadata.exif_block import entries

#: Bytes of EXIF's prefix in a JPEG; some writers put it in front of the block in other formats too.
_PREFIX: Final = 6
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_EXIF_DIRECTORY: Final = 0x8769
_UPRIGHT: Final = 1


def read_orientation(image: ImageFile.ImageFile) -> int:
    """Return the orientation, 1 to 8, of the pixels that the decoder of an opened image returns.

    HEIC and TIFF are decoded upright. For an AVIF Pillow gives the boxes `irot` and `imir` as EXIF. XMP never counts:
    browsers ignore it.
    """
    data = image.info.get("exif") or raw_exif(image.info.get("texts", {}))
    if image.format in {"HEIF", "TIFF"} or not isinstance(data, bytes):
        return _UPRIGHT
    return orientation_in(data[_PREFIX:] if data[:5] == b"Exif\0" else data)


def orientation_in(block: bytes) -> int:
    """Return the first valid orientation of the first directory, or of the EXIF directory that it points to.

    A valid one is what browsers accept: one 16-bit number from 1 to 8, in a block that begins with its TIFF header.
    """
    order: Literal["little", "big"] = "little" if block[:1] == b"I" else "big"
    first = list(entries(block))
    deeper = [entry for entry in first if entry.tag == _EXIF_DIRECTORY and entry.count == 1][:1]
    second = [found for link in deeper for found in entries(block, int.from_bytes(link.value, order))]
    for entry in (*first, *second):
        if (entry.tag, entry.kind, entry.count) == (_ORIENTATION, _SHORT, 1):
            number = int.from_bytes(entry.value[:2], order)
            if 1 <= number <= 8:
                return number
    return _UPRIGHT
