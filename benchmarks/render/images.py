"""Images of the benchmark, made from a photograph into `.cache/bench/images`.

The photograph is the 12-megapixel one of the tests, or a synthetic one where that is missing. It is sharpened and given
the grain of a small sensor after demosaicing, so that its JPEG has the size of a phone's: about 0.2 bytes per pixel.
`smooth.jpg` is the photograph without these changes.
"""

import hashlib
import io
import sys
from pathlib import Path

import pillow_heif
from PIL import Image, ImageChops, ImageCms, ImageFilter

from benchmarks.render.peers import SCRATCH
from tests.samples import photograph

FOLDER = SCRATCH / "images"
WIDTHS = (1920, 1280, 640, 320, 160)
_LARGER = {"phone24": (5664, 4248), "phone48": (8064, 6048)}


def make() -> None:
    """Make all images and their references, unless they exist for this photograph and this module."""
    body = photograph("photo-12mp.jpg")
    made_from = hashlib.sha256(body + Path(__file__).read_bytes()).hexdigest()
    stamp = FOLDER / ".made"
    if stamp.exists() and stamp.read_text() == made_from:
        return
    print("Making images in .cache/bench/images", file=sys.stderr, flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    original = Image.open(io.BytesIO(body), formats=["JPEG"])
    profile = original.info.get("icc_profile")
    smooth = original.convert("RGB")
    smooth.info = {}
    Image.MAX_IMAGE_PIXELS = None
    _jpeg(smooth, "smooth", profile)
    _reference(smooth, "smooth", profile)
    crisp = add_grain(smooth)
    _jpeg(crisp, "phone", profile)
    _jpeg(crisp, "progressive", profile, progressive=True)
    _reference(crisp, "phone", profile)
    crisp.save(FOLDER / "phone.png", compress_level=6, icc_profile=profile)
    pillow_heif.register_heif_opener()
    crisp.save(FOLDER / "phone.heic", "HEIF", quality=70, icc_profile=profile)
    for name, size in _LARGER.items():
        _jpeg(add_grain(smooth.resize(size, Image.Resampling.BICUBIC)), name, profile)
    _animation(crisp)
    stamp.write_text(made_from)


def add_grain(image: Image.Image) -> Image.Image:
    grain = Image.effect_noise(image.size, 11).filter(ImageFilter.GaussianBlur(1.0))
    sharp = image.filter(ImageFilter.UnsharpMask(1.5, 120, 2))
    return ImageChops.add(sharp, Image.merge("RGB", [grain] * 3), 1, -128)


def _jpeg(image: Image.Image, name: str, profile: bytes | None, *, progressive: bool = False) -> None:
    """Save a JPEG as phones do: rotated, with orientation 6 and the display's color profile."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Benchmark"
    lying = image.transpose(Image.Transpose.ROTATE_90)
    options = {"progressive": True} if progressive else {}
    lying.save(
        FOLDER / f"{name}.jpg", quality=90, subsampling="4:2:0", exif=exif, icc_profile=profile or b"", **options
    )


def _reference(image: Image.Image, name: str, profile: bytes | None) -> None:
    """Save references of quality: resized by LANCZOS in one step from the uncompressed sRGB image, lossless."""
    if profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB")) or image
    folder = FOLDER / f"{name}-reference"
    folder.mkdir(exist_ok=True)
    for width in WIDTHS:
        size = (width, round(image.height * width / image.width))
        small = image.resize(size, Image.Resampling.LANCZOS)
        small.save(folder / f"{width}.png", compress_level=1, icc_profile=None)


def _animation(image: Image.Image) -> None:
    base = image.resize((680, 510))
    frames = [base.crop((2 * i, i, 2 * i + 480, i + 360)).quantize(128) for i in range(100)]
    frames[0].save(FOLDER / "animation.gif", save_all=True, append_images=frames[1:], duration=40, loop=0)
