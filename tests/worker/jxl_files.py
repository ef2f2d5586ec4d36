"""JPEG XL files in tests: their pixels, by libjxl's decoder, their EXIF and their boxes."""

from pathlib import Path

import pyjpegxl
from PIL import Image


def open_jxl(path: Path) -> Image.Image:
    """Decode a file to RGB or RGBA."""
    found, data = pyjpegxl.decode(path.read_bytes())
    assert found.num_color_channels == 3
    return Image.frombytes("RGBA" if found.has_alpha else "RGB", (found.width, found.height), data)


def read_exif(path: Path) -> Image.Exif:
    """Return the EXIF of a variant in any format."""
    if path.suffix != ".jxl":
        with Image.open(path) as image:
            return image.getexif()
    exif = Image.Exif()
    exif.load(boxes(path.read_bytes()).get(b"Exif", b"")[4:])
    return exif


def boxes(data: bytes) -> dict[bytes, bytes]:
    """Return the contents of the boxes of a file, by kind."""
    found, at = {}, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        found[data[at + 4 : at + 8]] = data[at + 8 : at + length]
        at += length
    return found
