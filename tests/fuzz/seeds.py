"""Pictures to mutate: the small files of `tests/images`, and one made of each kind that those lack."""

import io
from typing import Any

import pillow_heif
from PIL import Image, ImageCms

from app.domain.media import SNIFF_BYTES, media_type_of
from tests.samples import IMAGES, photo

pillow_heif.register_heif_opener()

#: Larger files would be decoded for a long time, and mutated where it does not matter.
_LARGEST = 40_000


def seeds() -> list[tuple[str, bytes]]:
    """Names and bytes, always in the same order."""
    files = [
        (path.name, path.read_bytes())
        for path in sorted(IMAGES.iterdir())
        if path.suffix not in {".md", ".csv"} and path.stat().st_size <= _LARGEST
    ]
    shipped = [(name, body) for name, body in files if media_type_of(body[:SNIFF_BYTES])]
    return shipped + sorted(_made().items())


def _saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def _made() -> dict[str, bytes]:
    picture = photo(48, 36)
    grey, clear = picture.convert("L"), picture.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    exif = _exif()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames = [photo(24, 20, seed) for seed in range(4)]
    moving: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 50, "loop": 0}
    made = {
        "exif.jpg": _saved(picture, "JPEG", exif=exif, icc_profile=srgb, comment=b"hello"),
        "progressive.jpg": _saved(picture, "JPEG", progressive=True, exif=exif),
        "large.jpg": _saved(photo(400, 300), "JPEG", exif=exif),
        "grey.jpg": _saved(grey, "JPEG"),
        "exif.png": _saved(clear, "PNG", exif=exif, icc_profile=srgb),
        "wide.png": _saved(grey.convert("I;16"), "PNG"),
        "palette.png": _saved(picture.quantize(16), "PNG", transparency=3),
        "bit.png": _saved(grey.convert("1"), "PNG"),
        "moving.png": _saved(frames[0], "PNG", **moving),
        "lossy.webp": _saved(picture, "WEBP", exif=exif, icc_profile=srgb),
        "lossless.webp": _saved(clear, "WEBP", lossless=True),
        "alpha.webp": _saved(clear, "WEBP"),
        "moving.webp": _saved(frames[0], "WEBP", **moving),
        "still.gif": _saved(picture, "GIF"),
        "moving.gif": _saved(frames[0], "GIF", disposal=2, **moving),
        "still.avif": _saved(clear, "AVIF", exif=exif, speed=9),
        "moving.avif": _saved(frames[0], "AVIF", speed=9, **moving),
        "still.heic": _saved(clear, "HEIF", exif=exif),
        "plain.heic": _saved(picture, "HEIF"),
        "plain.bmp": _saved(picture, "BMP"),
        "palette.bmp": _saved(picture.quantize(16), "BMP"),
        "float.tif": _saved(grey.convert("F"), "TIFF"),
        "wide.tif": _saved(grey.convert("I;16"), "TIFF"),
        "cmyk.tif": _saved(picture.convert("CMYK"), "TIFF", compression="tiff_adobe_deflate"),
        "pages.tif": _saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
    }
    for compression in ("tiff_lzw", "packbits", "jpeg", "tiff_deflate"):
        made[f"{compression}.tif"] = _saved(picture, "TIFF", compression=compression)
    made["group4.tif"] = _saved(grey.convert("1"), "TIFF", compression="group4")
    return made


def _exif() -> bytes:
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Maker", 0x0110: "Model", 0x8298: "me", 0x013B: "Ann"})
    exif.get_ifd(0x8769).update({0x829A: (1, 250), 0x9003: "2023:05:06 07:08:09", 0x8827: 400, 0xA431: "SN"})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    return exif.tobytes()
