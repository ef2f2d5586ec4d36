"""Images for tests: generated, or small real files from `tests/images`."""

import io
import random
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

IMAGES = Path(__file__).parent / "images"
#: Larger real photographs, on machines that have them next to the checkout.
SHARED = Path(__file__).parents[2] / "shared" / "images"


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a smooth image of many colors, different for every seed, without noise."""
    dice = random.Random(seed)
    small = Image.new("RGB", (8, 6))
    small.putdata([(dice.randrange(256), dice.randrange(256), dice.randrange(256)) for _ in range(48)])
    return small.resize((width, height), Image.Resampling.BICUBIC)


@cache
def encoded(file_format: str = "JPEG", width: int = 64, height: int = 48, seed: int = 0, **options: Any) -> bytes:
    """The bytes of `photo` in a format that Pillow writes, or in JPEG XL."""
    if file_format == "JXL":
        from app.worker.render.jxl import encode_jxl

        return encode_jxl(photo(width, height, seed), options.get("quality", 75), b"")
    out = io.BytesIO()
    photo(width, height, seed).save(out, file_format, **options)
    return out.getvalue()


def image_file(name: str) -> Path:
    """A small real file shipped with the tests."""
    return IMAGES / name


@cache
def photograph(name: str) -> bytes:
    """A real 12-megapixel photograph where there is one, else a made one of that size and kind: `.jpg` or `.heic`."""
    path = shared_file(name)
    if path is not None:
        return path.read_bytes()
    if name.endswith(".heic"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        return encoded("HEIF", 4032, 3024, seed=12)
    return encoded("JPEG", 4032, 3024, seed=12, quality=90)


def shared_file(name: str) -> Path | None:
    """A larger real file, or None on a machine without it."""
    path = SHARED / name
    return path if path.exists() else None
