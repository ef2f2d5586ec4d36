"""Rate-distortion curves: bytes and CPU of one engine by quality, and their comparison at an equal score."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One file: quality setting, bytes, milliseconds of CPU, SSIMULACRA2 and MS-SSIM in decibels."""

    quality: int
    bytes: int
    cpu_ms: float
    ssimulacra2: float
    ms_ssim: float


def at_score(points: Iterable[Point], score: float, what: str, metric: str = "ssimulacra2") -> float:
    """Return the bytes or `cpu_ms` that a score takes, interpolated in their logarithm between the nearest files.

    Beyond the ends the slope of the last segment holds. A file that is better and smaller than others replaces them.
    """
    known = _frontier([(float(getattr(point, metric)), float(getattr(point, what)), point.bytes) for point in points])
    if len(known) == 1:
        return known[0][1]
    after = next((index for index, (there, _) in enumerate(known) if there >= score), len(known) - 1)
    (x0, y0), (x1, y1) = known[max(0, after - 1)], known[max(1, after)]
    share = min(2.0, max(-1.0, (score - x0) / (x1 - x0)))
    return math.exp(math.log(y0) + share * (math.log(y1) - math.log(y0)))


def _frontier(files: Sequence[tuple[float, float, int]]) -> list[tuple[float, float]]:
    """Return score and value of the files that no smaller file surpasses, by score."""
    kept: list[tuple[float, float]] = []
    smallest = math.inf
    for score, value, weight in sorted(files, key=lambda each: (-each[0], each[2])):
        if weight < smallest:
            kept.append((score, value))
            smallest = weight
    return sorted(kept)


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))
