"""SSIMULACRA2 and MS-SSIM of files against their references. Runs in the environment of the peers, on all cores.

Reads a line of JSON for each comparison, `[reference, file]`, and prints both scores in a line, in the same order.
MS-SSIM (Wang, Simoncelli and Bovik, 2003) is that of the luma, in decibels: -10 log10(1 - MS-SSIM). An image with alpha
is compared on white and on black, and the lower scores count.
"""

import json
import math
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from ssimulacra2 import compute_ssimulacra2

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
#: Decibels of an image that equals its reference.
_EQUAL = 60.0


def score(pair: tuple[str, str]) -> tuple[float, float]:
    """Compare a file with its reference."""
    reference, file = pair
    scores = []
    with Image.open(reference) as first, Image.open(file) as second, tempfile.TemporaryDirectory() as folder:
        # Sizes of different resizers may differ by one pixel in height.
        box = (0, 0, min(first.width, second.width), min(first.height, second.height))
        alpha = first.mode == "RGBA"
        for ground in ("white", "black") if alpha else ("white",):
            wanted, seen = (_on(image.crop(box), ground) for image in (first, second))
            names = [str(Path(folder, name)) for name in ("wanted.png", "seen.png")]
            for image, name in zip((wanted, seen), names, strict=True):
                image.save(name, compress_level=1)
            luma = [np.asarray(image.convert("L"), np.float64) for image in (wanted, seen)]
            scores.append((float(compute_ssimulacra2(*names)), _ms_ssim(*luma)))
    return min(each[0] for each in scores), min(each[1] for each in scores)


def _on(image: Image.Image, ground: str) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB")


def _ms_ssim(first: np.ndarray, second: np.ndarray) -> float:
    product = 1.0
    for scale, weight in enumerate(_WEIGHTS):
        mean1, mean2 = _blur(first), _blur(second)
        variance1, variance2 = _blur(first * first) - mean1**2, _blur(second * second) - mean2**2
        covariance = _blur(first * second) - mean1 * mean2
        contrast = (2 * covariance + _C2) / (variance1 + variance2 + _C2)
        if scale == len(_WEIGHTS) - 1:
            contrast = contrast * (2 * mean1 * mean2 + _C1) / (mean1**2 + mean2**2 + _C1)
        product *= max(1e-6, float(contrast.mean())) ** weight
        first, second = _halved(first), _halved(second)
    return _EQUAL if product >= 1 - 10 ** (-_EQUAL / 10) else -10 * math.log10(1 - product)


def _blur(plane: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(plane, 1.5, truncate=3.5)


def _halved(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    return plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))


if __name__ == "__main__":
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for similarity, decibels in pool.map(score, [json.loads(line) for line in sys.stdin]):
            print(f"{similarity:.3f} {decibels:.3f}", flush=True)
