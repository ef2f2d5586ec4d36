"""ThumbHash: a blurred image with its aspect in about 25 bytes (https://evanw.github.io/thumbhash/, by Evan Wallace).

Implemented here because the PyPI package fails on every image with alpha; for opaque images the bytes are the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class _Channel:
    """Mean of a channel, its low frequencies scaled to 0-1, and the scale."""

    mean: float
    waves: list[float]
    scale: float


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """Compute the hash of an image of at most 100 × 100 pixels, given as RGBA bytes that are not premultiplied."""
    if not (0 < width <= 100 and 0 < height <= 100 and len(rgba) == 4 * width * height):
        raise ValueError(f"{width} × {height} pixels in {len(rgba)} bytes")
    alpha = [a / 255 for a in rgba[3::4]]
    total = math.fsum(alpha)
    has_alpha = 255 * width * height > sum(rgba[3::4])
    red, green, blue = (_over_average(rgba[band::4], alpha, total) for band in range(3))
    longest = max(width, height)
    limit = 5 if has_alpha else 7
    across, down = (max(1, _round(limit * side / longest)) for side in (width, height))

    light = [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)]
    yellow = [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)]
    warm = [r - g for r, g in zip(red, green, strict=True)]
    lum = _encode(light, width, height, max(3, across), max(3, down))
    p, q = (_encode(channel, width, height, 3, 3) for channel in (yellow, warm))
    channels = [lum, p, q]

    landscape = width > height
    head = _round(63 * lum.mean) | _round(31.5 + 31.5 * p.mean) << 6 | _round(31.5 + 31.5 * q.mean) << 12
    head |= _round(31 * lum.scale) << 18 | has_alpha << 23
    tail = (down if landscape else across) | _round(63 * p.scale) << 3 | _round(63 * q.scale) << 9 | landscape << 15
    hashed = bytearray(head.to_bytes(3, "little") + tail.to_bytes(2, "little"))
    if has_alpha:
        opacity = _encode(alpha, width, height, 5, 5)
        hashed.append(_round(15 * opacity.mean) | _round(15 * opacity.scale) << 4)
        channels.append(opacity)
    nibbles = [_round(15 * wave) for channel in channels for wave in channel.waves]
    nibbles += [0] * (len(nibbles) % 2)
    hashed.extend(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return bytes(hashed)


def _over_average(band: bytes, alpha: Sequence[float], total: float) -> list[float]:
    """Return the band from 0 to 1, over its average color where it is transparent."""
    average = math.fsum(a * value / 255 for a, value in zip(alpha, band, strict=True)) / total if total else 0.0
    return [average * (1 - a) + a * value / 255 for a, value in zip(alpha, band, strict=True)]


def _encode(channel: Sequence[float], width: int, height: int, across: int, down: int) -> _Channel:
    """Compute the lowest frequencies of the DCT in the triangle of `across` by `down`, rows first."""
    waves_x = [[math.cos(math.pi / width * u * (x + 0.5)) for x in range(width)] for u in range(across)]
    waves_y = [[math.cos(math.pi / height * v * (y + 0.5)) for y in range(height)] for v in range(down)]
    rows = [channel[at : at + width] for at in range(0, len(channel), width)]
    by_u = [[sum(map(float.__mul__, row, wave)) for row in rows] for wave in waves_x]
    found = [
        sum(map(float.__mul__, by_u[u], waves_y[v])) / (width * height)
        for v in range(down)
        for u in range(across)
        if u * down < across * (down - v)
    ]
    mean, waves = found[0], found[1:]
    scale = max(map(abs, waves), default=0.0)
    return _Channel(mean, [0.5 + 0.5 / scale * wave for wave in waves] if scale else waves, scale)


def _round(value: float) -> int:
    """Round to the nearest, halves up, as the reference does."""
    return math.floor(value + 0.5)
