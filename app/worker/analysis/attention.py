"""Most interesting part of an image: the center of crops without a focal point.

Interest is what libvips's `attention` measures (edges, saturated colors, skin) and the difference from the image's mean
color; squared, so that one strong spot outweighs much weak texture. It is measured in a thumbnail of at most 64 pixels,
in 2 ms. The result is deterministic, and the center if nothing stands out.
"""

import math
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageChops, ImageFilter, ImageStat

from app.domain.models import FocalPoint
from app.worker.render.geometry import Shape

_SIDE: Final = 64
#: Penalty of crops away from the center: a plain image is cropped in its center.
_CENTER_BIAS: Final = 0.05

# Skin of every tone lies in a narrow range of chroma (D. Chai, K. N. Ngan, "Face segmentation using skin-color map",
# 1999: Cb 77-127, Cr 133-173), here narrowed so that gray is excluded; nearly black pixels have no usable color.
_SKIN_CB: Final = [max(0, min(255, round(255 - 12 * max(0, abs(cb - 102) - 22)))) for cb in range(256)]
_SKIN_CR: Final = [max(0, min(255, round(255 - 24 * max(0, abs(cr - 153) - 15)))) for cr in range(256)]
_LIT: Final = [max(0, min(255, 5 * (light - 40))) for light in range(256)]


@dataclass(frozen=True)
class Attention:
    """Interest by column and by row, each at most 64 of them."""

    columns: list[int]
    rows: list[int]

    def focus(self, shape: Shape, width: int, height: int) -> FocalPoint:
        """Return the center of the most interesting area of that shape's box in an image of that size."""
        left, top, right, bottom = shape.box
        return FocalPoint(x=_best(self.columns, (right - left) / width), y=_best(self.rows, (bottom - top) / height))


def measure_attention(image: Image.Image) -> Attention:
    """Measure the interest of an upright sRGB image, RGB or RGBA, of any size."""
    small, alpha = _thumbnail(image)
    light, blue, red = small.convert("YCbCr").split()
    edges = ImageChops.difference(light, light.filter(ImageFilter.GaussianBlur(1.5))).point(lambda tone: tone * 4)
    bands = small.split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    least = ImageChops.darker(ImageChops.darker(bands[0], bands[1]), bands[2])
    chroma = ImageChops.subtract(most, least)
    mean = tuple(round(value) for value in ImageStat.Stat(small, alpha).mean) if alpha is None or alpha.getbbox() else 0
    other = ImageChops.difference(small.filter(ImageFilter.GaussianBlur(1)), Image.new("RGB", small.size, mean))
    odd = ImageChops.lighter(ImageChops.lighter(*other.split()[:2]), other.getchannel(2))
    skin = ImageChops.multiply(ImageChops.multiply(blue.point(_SKIN_CB), red.point(_SKIN_CR)), light.point(_LIT))
    parts = [edges, chroma, odd, skin]
    if alpha is not None:
        parts = [ImageChops.multiply(part, alpha) for part in parts]
    spots = [sum(tones) ** 2 for tones in zip(*(part.tobytes() for part in parts), strict=True)]
    rows = [spots[at : at + small.width] for at in range(0, len(spots), small.width)]
    return Attention([sum(column) for column in zip(*rows, strict=True)], [sum(row) for row in rows])


def _thumbnail(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the image as RGB of at most 64 pixels a side, and its alpha."""
    scale = min(1.0, _SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.mode == "RGBA":  # premultiplied: transparent pixels have no color
        small = image.convert("RGBa").resize(size, Image.Resampling.BOX, reducing_gap=1.0).convert("RGBA")
        return small.convert("RGB"), small.getchannel("A")
    return image.resize(size, Image.Resampling.BOX, reducing_gap=1.0), None


def _best(profile: list[int], part: float) -> float:
    """Return the center, from 0 to 1, of the window with the most interest; `part` is its share of the profile.

    The middle of the window counts most, so that an object smaller than the window is not placed at its border.
    """
    count = len(profile)
    span = part * count
    free = count - span
    usual = sorted(profile)[count // 4]  # the lowest quarter is background
    profile = [max(0, value - usual) for value in profile]
    total = sum(profile)
    if free <= 0 or total <= 0:
        return 0.5
    steps = max(2, math.ceil(free) * 2)
    best, chosen = -math.inf, 0.5
    for step in range(steps + 1):
        start = free * step / steps
        middle = start + span / 2
        seen = math.fsum(
            profile[at] * math.cos((at + 0.5 - middle) / span * math.pi * 0.8)
            for at in range(count)
            if abs(at + 0.5 - middle) < span / 2
        )
        off = abs(2 * step / steps - 1)
        score = round(seen / total - _CENTER_BIAS * off * off, 9)
        if score > best or (score == best and off < abs(2 * chosen - 1)):
            best, chosen = score, middle / count
    return chosen
