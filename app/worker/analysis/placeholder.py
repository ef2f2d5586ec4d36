"""What stands for a picture before it has loaded, and what it looks like: from a thumbnail of at most 32 pixels."""

import base64
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image

from app.worker.analysis.thumbhash import thumbhash

_SIDE = 32
_COLOURS = 5


@dataclass(frozen=True)
class Looks:
    """`thumbhash` in base64, colours as `#rrggbb`, `phash` as 16 hex digits."""

    thumbhash: str
    dominant_color: str
    palette: list[str]
    phash: str


def looks_of(image: Image.Image) -> Looks:
    """The looks of an upright sRGB picture, RGB or RGBA, of any size."""
    image = nearer(image)
    small = image.convert("RGBA")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    palette = _palette(small)
    return Looks(
        thumbhash=base64.b64encode(thumbhash(small.width, small.height, small.tobytes())).decode(),
        dominant_color=palette[0],
        palette=palette,
        phash=_phash(image),
    )


def nearer(image: Image.Image) -> Image.Image:
    """A large picture averaged down to a few hundred pixels, which costs a twentieth of resampling it."""
    factor = min(image.size) // (4 * _SIDE)
    if factor < 2:
        return image
    if image.mode == "RGBA":  # premultiplied, so that what cannot be seen has no say
        return image.convert("RGBa").reduce(factor).convert("RGBA")
    return image.reduce(factor)


def _palette(small: Image.Image) -> list[str]:
    """At most five colours of what can be seen, the most frequent first."""
    data = small.tobytes()
    seen = b"".join(data[at : at + 3] for at in range(0, len(data), 4) if data[at + 3] >= 128)
    if not seen:
        return ["#ffffff"]
    flat = Image.frombytes("RGB", (len(seen) // 3, 1), seen)
    reduced = flat.quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    colours = reduced.getpalette() or []
    counts = sorted(((count, index) for index, count in enumerate(reduced.histogram()) if count), reverse=True)
    names = [f"#{bytes(colours[3 * index : 3 * index + 3]).hex()}" for _, index in counts]
    return list(dict.fromkeys(names))[:_COLOURS]


def _phash(image: Image.Image) -> str:
    """A 64-bit perceptual hash: the signs, about their median, of the 8 × 8 lowest frequencies of the DCT-II of a
    32 × 32 grey picture (C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010)."""
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).tobytes()
    rows = [_low_frequencies(grey[at : at + _SIDE]) for at in range(0, len(grey), _SIDE)]
    columns = [_low_frequencies([row[u] for row in rows]) for u in range(8)]
    # Rounded, so that the noise of floating point is not taken for a pattern in a plain picture.
    frequencies = [round(columns[u][v], 3) for v in range(8) for u in range(8)]
    middle = statistics.median(frequencies)
    return f"{sum(1 << 63 - i for i, value in enumerate(frequencies) if value > middle):016x}"


def _low_frequencies(samples: Sequence[float]) -> list[float]:
    return [math.fsum(map(float.__mul__, map(float, samples), wave)) for wave in _waves()]


@cache
def _waves() -> list[list[float]]:
    return [[math.cos(math.pi / _SIDE * (x + 0.5) * u) for x in range(_SIDE)] for u in range(8)]
