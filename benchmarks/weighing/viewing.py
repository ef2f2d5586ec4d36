"""Reading of encoded files in formats that Pillow and the environment of the peers do not read."""

from pathlib import Path

import pyjpegxl
from PIL import Image

from app.domain.media import SNIFF_BYTES
from app.domain.sizes.completeness import size_type_of


def readable(file: Path) -> Path:
    """Return the file, or for JPEG XL a PNG with the same pixels next to it."""
    code = file.read_bytes()
    if size_type_of(code[:SNIFF_BYTES]) != "image/jxl":
        return file
    found, data = pyjpegxl.decode(code)
    shown = file.with_suffix(".jxl.png")
    mode = "RGBA" if found.has_alpha else "RGB"
    Image.frombytes(mode, (found.width, found.height), data).save(shown, compress_level=1)
    return shown
