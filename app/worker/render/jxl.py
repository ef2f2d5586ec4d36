"""JPEG XL files: the code of libjxl in a container of our own (ISO/IEC 18181-2).

Only this module uses `pyjpegxl`, which is an optional package. It is imported where an image is encoded, or by the fork
server for its children if the settings ask for JPEG XL.
"""

from typing import Final

import pyjpegxl
from PIL import Image

#: Effort 4 has half the CPU time of WebP. Effort 3 takes as long and has 2 to 3 % more bytes at the same SSIMULACRA2;
#: effort 5 has 8 to 15 % fewer, and takes seven times as long (12 images of 640 and 1280 pixels).
_EFFORT: Final = pyjpegxl.EncoderSpeed.Cheetah
_CHANNELS: Final = {"RGB": 3, "RGBA": 4}

_SIGNATURE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_TYPE: Final = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "

pyjpegxl.set_num_threads(1)  # a pool of threads does not survive a fork, and variants are encoded side by side


def encode_jxl(image: Image.Image, quality: int, exif: bytes) -> bytes:
    """Encode an RGB or RGBA image in sRGB. `exif` is empty or a block that begins with `Exif`."""
    try:
        code = pyjpegxl.encode(
            image.tobytes(),
            image.width,
            image.height,
            quality=_distance(quality),
            speed=_EFFORT,
            num_channels=_CHANNELS[image.mode],
        )
    except RuntimeError as error:  # libjxl has one error for everything, and there is nothing wrong with our pixels
        raise MemoryError from error
    # The boxes say where the file ends, which the code alone does not. Readers of metadata expect four bytes before it.
    block = _box(b"Exif", bytes(4) + exif.removeprefix(b"Exif\0\0")) if exif else b""
    return b"".join((_SIGNATURE, _TYPE, block, _box(b"jxlc", code)))


def _box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4) + kind + content


def _distance(quality: int) -> float:
    """Return libjxl's distance for a quality of 1 to 100, as `JxlEncoderDistanceFromQuality` does."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25
