"""Placeholder, colors and perceptual hash of an image, from a thumbnail of at most 32 pixels."""

import base64
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image

from app.worker.analysis.thumbhash import thumbhash

_SIDE = 32
_COLORS = 5


@dataclass(frozen=True)
class Looks:
    """Appearance of an image: `thumbhash` in base64, colors as `#rrggbb`, `phash` as 16 hex digits."""

    thumbhash: str
    dominant_color: str
    palette: list[str]
    phash: str


def describe_looks(image: Image.Image) -> Looks:
    """Describe an upright sRGB image, RGB or RGBA, of any size."""
    image = reduce_large(image)
    small = image.convert("RGBA")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    palette = _palette(small)
    return Looks(
        thumbhash=base64.b64encode(thumbhash(small.width, small.height, small.tobytes())).decode(),
        dominant_color=palette[0],
        palette=palette,
        phash=_phash(image),
    )


def reduce_large(image: Image.Image) -> Image.Image:
    """Average a large image down to a few hundred pixels, at a twentieth of the cost of resampling."""
    factor = min(image.size) // (4 * _SIDE)
    if factor < 2:
        return image
    if image.mode == "RGBA":  # premultiplied, so that transparent pixels do not count
        return image.convert("RGBa").reduce(factor).convert("RGBA")
    return image.reduce(factor)


def _palette(small: Image.Image) -> list[str]:
    """Return at most five colors of the visible pixels, the most frequent first."""
    data = small.tobytes()
    seen = b"".join(data[at : at + 3] for at in range(0, len(data), 4) if data[at + 3] >= 128)
    if not seen:
        return ["#ffffff"]
    flat = Image.frombytes("RGB", (len(seen) // 3, 1), seen)
    reduced = flat.quantize(_COLORS, Image.Quantize.MEDIANCUT)
    colors = reduced.getpalette() or []
    counts = sorted(((count, index) for index, count in enumerate(reduced.histogram()) if count), reverse=True)
    names = [f"#{bytes(colors[3 * index : 3 * index + 3]).hex()}" for _, index in counts]
    return list(dict.fromkeys(names))[:_COLORS]


def _phash(image: Image.Image) -> str:
    """Compute a 64-bit perceptual hash (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", 2010).

    Its bits are the signs, about their median, of the 8 × 8 lowest frequencies of the DCT-II of 32 × 32 gray pixels.
    """
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    gray = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).tobytes()
    rows = [_low_frequencies(gray[at : at + _SIDE]) for at in range(0, len(gray), _SIDE)]
    columns = [_low_frequencies([row[u] for row in rows]) for u in range(8)]
    # Rounded, so that floating-point noise is not a pattern in a plain image.
    frequencies = [round(columns[u][v], 3) for v in range(8) for u in range(8)]
    middle = statistics.median(frequencies)
    return f"{sum(1 << 63 - i for i, value in enumerate(frequencies) if value > middle):016x}"


def _low_frequencies(samples: Sequence[float]) -> list[float]:
    return [math.fsum(map(float.__mul__, map(float, samples), wave)) for wave in _waves()]


@cache
def _waves() -> list[list[float]]:
    return [[math.cos(math.pi / _SIDE * (x + 0.5) * u) for x in range(_SIDE)] for u in range(8)]
