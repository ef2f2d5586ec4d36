"""Demo images for the screenshots: crops and tints of the page's sample."""

import io
import itertools
from collections.abc import Callable

from PIL import Image, ImageOps

from tests.repository.tree import ROOT

SAMPLE = ROOT / "app" / "api" / "static" / "page" / "sample.jpg"
#: Parts of the sample, in pixels of its 1600 x 1067.
PARTS = {
    "lighthouse": (1000, 200, 1500, 867),
    "bay": (0, 0, 1600, 1067),
    "sun": (280, 440, 830, 800),
    "birds": (250, 120, 850, 520),
    "lantern": (1060, 220, 1460, 487),
    "waves": (0, 640, 960, 1067),
    "house": (1180, 480, 1600, 760),
    "horizon": (0, 420, 1180, 800),
}


def _colorize(picture: Image.Image, *colors: str) -> Image.Image:
    return ImageOps.colorize(ImageOps.grayscale(picture), colors[0], colors[2], mid=colors[1])


TINTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "at dusk": lambda picture: picture,
    "at night": lambda picture: _colorize(picture, "#05070f", "#28466f", "#cfe0f5"),
    "in the morning": lambda picture: _colorize(picture, "#2b2440", "#cf9a93", "#fff3e2"),
    "in winter": lambda picture: _colorize(picture, "#16222e", "#86a3b8", "#fbfdff"),
    "on film": lambda picture: _colorize(picture, "#111111", "#7d7a75", "#f7f4ee"),
    "in spring": lambda picture: _colorize(picture, "#12291f", "#7f9f78", "#f7f3d6"),
    "mirrored": ImageOps.mirror,
}


def jpeg(picture: Image.Image, quality: int = 88) -> bytes:
    """Return the image as a JPEG file."""
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return target.getvalue()


def pictures(number: int) -> list[tuple[str, bytes]]:
    """Return names and JPEG files of different images."""
    sample = Image.open(SAMPLE, formats=["JPEG"]).convert("RGB")
    made = []
    pairs = ((part, tint) for shift in range(len(TINTS)) for part, tint in _diagonal(shift))
    for part, tint in itertools.islice(pairs, number):
        picture = TINTS[tint](sample.crop(PARTS[part]))
        picture = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.LANCZOS)
        made.append((f"{part} {tint}.jpg".replace(" ", "-"), jpeg(picture)))
    return made


def _diagonal(shift: int) -> list[tuple[str, str]]:
    tints = list(TINTS)
    return [(part, tints[(shift + at * 3) % len(tints)]) for at, part in enumerate(PARTS)]


def photograph() -> bytes:
    """Return a JPEG file as large as that of a camera of 12 megapixels: the sample, with the noise of a sensor."""
    size = (4032, 2688)
    sample = Image.open(SAMPLE, formats=["JPEG"]).convert("RGB").resize(size, Image.Resampling.LANCZOS)
    return jpeg(Image.blend(sample, Image.effect_noise(size, 60).convert("RGB"), 0.06), 93)
