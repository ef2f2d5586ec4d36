"""Conversion of every mode that a decoder returns to 8-bit sRGB, with alpha if there is any."""

import hashlib
import io
import math
from collections import OrderedDict
from typing import Any, Final, cast

from PIL import Image, ImageChops, ImageCms

from app.worker.pixels.bands import count_bands, map_bands, stack

_MODES_OF_SPACE: Final = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SRGB_NAMES: Final = frozenset({"sRGB IEC61966-2.1", "sRGB built-in", "sRGB", "c2", "sRGB2014"})
_LARGEST_PROFILE: Final = 4 * 1024 * 1024
#: Rows that are processed at a time, so that the memory for them is negligible.
_ROWS: Final = 64

_transforms: OrderedDict[tuple[bytes, str], ImageCms.ImageCmsTransform | None] = OrderedDict()


def resizable(image: Image.Image) -> Image.Image:
    """Convert an image to a mode that can be resized: L, LA, RGB, RGBA or CMYK, 8 bits per channel.

    Colors stay in the color space of the image. 16-bit tones are divided by 257, 12-bit tones by 16. The range of wider
    integers and of floats is stretched to 0 to 255; floats from 0 to 1 are multiplied by 255.
    """
    key = image.info.get("transparency")
    mode = image.mode
    if mode == "CMYK":
        return _ink(image)
    if mode in {"RGBA", "LA"} or (mode in {"RGB", "L"} and key is None):
        return image.convert("RGB") if _lacks_alpha(image) else image
    if mode.startswith("I") or mode == "F":
        gray = _keyed(image.convert("I"), key, _most(image)) if mode.startswith("I;16") else _spread(image)
        return ImageChops.invert(gray) if "starts_white" in image.info else gray
    if mode in {"RGB", "L"}:
        return _with_color_key(image)
    if mode == "LAB":
        return ImageCms.applyTransform(image, _lab()) or image
    return image.convert(_simpler(image, has_key=key is not None))


def to_srgb(image: Image.Image, profile: bytes | None, *, threads: int = 1) -> Image.Image:
    """Convert a resizable image to RGB or RGBA in sRGB. A profile that is broken or of another space is ignored.

    Large images are converted in up to `threads` threads.
    """
    alpha = None
    if image.mode in {"RGBA", "LA"}:
        alpha = image.getchannel("A")
        image = image.convert("RGB") if image.mode == "RGBA" else image.getchannel("L")
    transform = _transform(profile, image.mode) if profile else None
    image = (_in_bands(image, transform, threads) if transform else None) or image.convert("RGB")
    if alpha is not None and alpha.getextrema() != (255, 255):
        image.putalpha(alpha)
    return image


def _in_bands(image: Image.Image, transform: ImageCms.ImageCmsTransform, threads: int) -> Image.Image | None:
    """Return the image in sRGB; None if lcms cannot convert it."""
    bands = count_bands(image.size, threads)
    if bands == 1:
        return _apply(image, transform)
    made = map_bands(
        image.height, bands, lambda upper, lower: _apply(image.crop((0, upper, image.width, lower)), transform)
    )
    whole = [band for band in made if band is not None]
    return stack(whole, image.size) if len(whole) == bands else None


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image | None:
    try:
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, ValueError):
        return None
    if converted is not None:
        converted.info.pop("icc_profile", None)  # made by lcms: it holds the time of day
    return converted


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from the profile to sRGB, cached for the next frame or image; None if none is needed."""
    key = (hashlib.sha256(profile).digest(), mode)
    if key not in _transforms:
        _transforms[key] = _build(profile, mode)
        if len(_transforms) > 8:
            _transforms.popitem(last=False)
    return _transforms[key]


def _build(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    if len(profile) > _LARGEST_PROFILE:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODES_OF_SPACE.get(source.profile.xcolor_space) != mode:
            return None
        if mode == "RGB" and (source.profile.profile_description or "").strip("\0 ") in _SRGB_NAMES:
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, SyntaxError, AttributeError):
        return None


def _lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _simpler(image: Image.Image, *, has_key: bool) -> str:
    if image.mode == "P" and image.palette is not None and image.palette.mode == "RGBA":
        has_key = True
    if image.mode in {"1", "P"} and has_key:
        return "RGBA"
    return {"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB")


def _ink(image: Image.Image) -> Image.Image:
    """Invert a CMYK JPEG without Adobe's marker: Pillow assumes that all are Adobe's, which store ink inverted."""
    others = image.format == "JPEG" and "adobe" not in image.info
    return ImageChops.invert(image) if others else image


def _lacks_alpha(image: Image.Image) -> bool:
    """Return True if a BMP has an alpha channel that is 0 everywhere, as screenshots do."""
    return image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)


def _most(image: Image.Image) -> int:
    """Return the value of white in an image of at most 16 bits. Pillow does not scale the 12-bit tones of a TIFF."""
    bits = getattr(image, "tag_v2", {}).get(258, (16,))[0] if image.format == "TIFF" else 16
    return (1 << int(bits)) - 1


def _keyed(wide: Image.Image, key: Any, most: int) -> Image.Image:
    """Convert 16-bit gray to 8 bits. Its transparent tone is compared before tones next to it become equal to it."""
    gray = _scale(wide, 255 / most, 0.5)
    if not isinstance(key, int):
        return gray
    above, below = _scale(wide, 1, -key), _scale(wide, -1, key)
    gray.putalpha(ImageChops.lighter(above, below).point([0] + [255] * 255))
    return gray


def _spread(image: Image.Image) -> Image.Image:
    low, high = _extrema(image)
    if low < 0 and "unsigned" in image.info:
        return _spread_unsigned(image)
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return _scale(image, 1, 0)
    if image.mode == "F" and low >= 0 and high <= 1:
        return _scale(image, 255, 0.5)
    if image.mode == "I" and low >= 0 and high <= 255:
        return _scale(image, 1, 0)
    if image.mode == "I" and low >= 0 and high <= 65535:
        return _scale(image, 1 / 257, 0.5)
    factor = 255 / (high - low)
    return _scale(image, factor, 0.5 - low * factor)


def _spread_unsigned(image: Image.Image) -> Image.Image:
    """Stretch unsigned 32-bit numbers. Pillow reads large ones as negative."""
    bands = [(0, row, image.width, min(row + _ROWS, image.height)) for row in range(0, image.height, _ROWS)]
    extrema = [_extrema(_without_sign(image.crop(band))) for band in bands]
    low, high = min(low for low, _ in extrema), max(high for _, high in extrema)
    factor = 255 / max(1, high - low)
    gray = Image.new("L", image.size)
    for band in bands:
        gray.paste(_scale(_without_sign(image.crop(band)), factor, 0.5 - low * factor), band)
    return gray


def _without_sign(part: Image.Image) -> Image.Image:
    wide = part.convert("F")
    negative = _scale(wide, -1, 0).point(lambda tone: 255 * (tone > 0), "1")
    wide.paste(wide.point(lambda tone: tone * 1 + 2.0**32), (0, 0), negative)
    return wide


def _extrema(image: Image.Image) -> tuple[float, float]:
    return cast("tuple[float, float]", image.getextrema())  # of one band, so one pair


def _scale(image: Image.Image, factor: float, offset: float) -> Image.Image:
    """Return `tone × factor + offset` as 8-bit gray, clipped."""
    return image.point(lambda tone: tone * factor + offset).convert("L")


def _with_color_key(image: Image.Image) -> Image.Image:
    mode = "RGBA" if image.mode == "RGB" else "LA"
    try:
        return image.convert(mode)
    except (ValueError, TypeError):  # an invalid key: nothing is transparent
        image.info.pop("transparency")
        return image
