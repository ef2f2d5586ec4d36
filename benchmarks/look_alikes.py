"""Distances of perceptual hashes after changes of photographs: `python -m benchmarks.look_alikes <folder of photos>`.

For each change, the median, 90th percentile and maximum distance between a photograph and its changed copy; how many
copies are within 6 and within 10; and how many of those the look-ups of the index find. Also the distances between
unrelated pieces of the photographs.
"""

import io
import itertools
import json
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from app.domain.images.similar import EXACT_DISTANCE, MAX_DISTANCE, bands, bands_within, hash_distance, is_flat
from app.worker.analysis.placeholder import describe_looks
from benchmarks.results_file import save

Change = Callable[[Image.Image], Image.Image]
_PIECE = 128


def _encoded(file_format: str, **options: Any) -> Change:
    def change(image: Image.Image) -> Image.Image:
        out = io.BytesIO()
        image.save(out, file_format, **options)
        return Image.open(out).convert("RGB")

    return change


def _resized(longest: int) -> Change:
    return lambda image: ImageOps.contain(image, (longest, longest), Image.Resampling.LANCZOS)


def _cropped(share: float) -> Change:
    """Remove a share of the width and of the height, half of it from each side."""

    def change(image: Image.Image) -> Image.Image:
        x, y = image.width * share / 2, image.height * share / 2
        return image.crop((round(x), round(y), round(image.width - x), round(image.height - y)))

    return change


def _framed(share: float) -> Change:
    return lambda image: ImageOps.expand(image, round(max(image.size) * share), "white")


def _labelled(image: Image.Image) -> Image.Image:
    """Cover a corner with a white box: an eighth of the width, a tenth of the height."""
    copy = image.copy()
    width, height = image.width // 8, image.height // 10
    box = (image.width - width, image.height - height, image.width, image.height)
    ImageDraw.Draw(copy).rectangle(box, fill="white")
    return copy


def _gamma(value: float) -> Change:
    return lambda image: image.point([round(255 * (level / 255) ** value) for level in range(256)] * 3)


CHANGES: Mapping[str, Mapping[str, Change]] = {
    "found": {
        "resized to 640 pixels": _resized(640),
        "resized to 160 pixels": _resized(160),
        "JPEG, quality 20": _encoded("JPEG", quality=20),
        "WebP, quality 40": _encoded("WEBP", quality=40),
        "AVIF, quality 30": _encoded("AVIF", quality=30),
        "PNG of 256 colors": lambda image: image.quantize(256).convert("RGB"),
        "brightness + 15 %": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
        "brightness - 15 %": lambda image: ImageEnhance.Brightness(image).enhance(0.85),
        "contrast + 20 %": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
        "gamma 0.8": _gamma(0.8),
        "black and white": lambda image: ImageOps.grayscale(image).convert("RGB"),
        "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(max(image.size) / 400)),
        "cropped by 1 %": _cropped(0.01),
    },
    "often": {
        "cropped by 2 %": _cropped(0.02),
        "cropped by 3 %": _cropped(0.03),
        "rotated by 1 degree": lambda image: image.rotate(1, Image.Resampling.BICUBIC),
        "a white box in a corner": _labelled,
    },
    "rarely": {
        "cropped by 5 %": _cropped(0.05),
        "cropped by 10 %": _cropped(0.10),
        "a border of 5 %": _framed(0.05),
        "rotated by 5 degrees": lambda image: image.rotate(5, Image.Resampling.BICUBIC),
        "mirrored": ImageOps.mirror,
        "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    },
}


def phash(image: Image.Image) -> str:
    """Return the hash that the worker computes."""
    return describe_looks(image).phash


def photographs(folder: Path) -> Iterator[Image.Image]:
    """Yield the photographs in a folder."""
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            yield ImageOps.exif_transpose(image).convert("RGB")


def is_found(one: str, other: str, distance: int) -> bool:
    """Return True if a search within the distance finds the other hash."""
    return hash_distance(one, other) <= distance and bool(set(bands_within(one, distance)) & set(bands(other)))


def measure(name: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the figures of pairs of hashes."""
    apart = sorted(hash_distance(*pair) for pair in pairs)
    row = {
        "what": name,
        "pairs": len(apart),
        "median": statistics.median(apart),
        "p90": apart[9 * len(apart) // 10],
        "max": apart[-1],
        "found_within_6": sum(is_found(*pair, EXACT_DISTANCE) for pair in pairs),
        "within_10": sum(distance <= MAX_DISTANCE for distance in apart),
        "found_within_10": sum(is_found(*pair, MAX_DISTANCE) for pair in pairs),
    }
    print(f"{name:26}" + "".join(f"{value!s:>10}" for value in list(row.values())[1:]))
    return row


def pieces(photos: list[Image.Image]) -> list[str]:
    """Return the hashes of pieces of the photographs that do not touch each other."""
    hashes = []
    for photo in photos:
        smaller = ImageOps.contain(photo, (1600, 1600))
        corners = itertools.product(
            range(0, smaller.width - _PIECE, 2 * _PIECE), range(0, smaller.height - _PIECE, 2 * _PIECE)
        )
        hashes += [phash(smaller.crop((x, y, x + _PIECE, y + _PIECE))) for x, y in corners]
    return [each for each in hashes if not is_flat(each)]


def random_recall(distance: int, tries: int = 20_000) -> float:
    """Return the share of random hashes at that distance that the look-ups find."""
    dice = random.Random(distance)
    found = 0
    for _ in range(tries):
        one = dice.getrandbits(64)
        other = one
        for bit in dice.sample(range(64), distance):
            other ^= 1 << bit
        left, right = f"{one:016x}", f"{other:016x}"
        found += any(left[at : at + 4] == right[at : at + 4] for at in (0, 4, 8, 12)) or any(
            hash_distance(left[at : at + 4], right[at : at + 4]) <= 1 for at in (0, 4, 8)
        )
    return found / tries


def main() -> None:
    """Measure, print, save."""
    pillow_heif.register_heif_opener()
    photos = list(photographs(Path(sys.argv[1])))
    own = [phash(photo) for photo in photos]
    columns = ("pairs", "median", "p90", "max", "found 6", "<= 10", "found 10")
    print(f"{'':26}" + "".join(f"{name:>10}" for name in columns))
    rows = []
    for kind, changes in CHANGES.items():
        for name, change in changes.items():
            rows.append(measure(name, list(zip(own, map(phash, map(change, photos)), strict=True))) | {"kind": kind})
    unrelated = pieces(photos)
    apart = sorted(itertools.starmap(hash_distance, itertools.combinations(unrelated, 2)))
    others = {"pairs": len(apart), "min": apart[0], "mean": round(statistics.mean(apart), 1)}
    others |= {f"within_{limit}": sum(distance <= limit for distance in apart) for limit in (6, 8, 10, 12)}
    recall = {distance: round(random_recall(distance), 3) for distance in (6, 7, 8, 9, 10)}
    path = save("look_alikes", ["pillow"], photographs=len(photos), rows=rows, unrelated=others, random_recall=recall)
    print(json.dumps({"unrelated": others, "random_recall": recall, "saved": str(path)}, indent=1))


if __name__ == "__main__":
    main()
