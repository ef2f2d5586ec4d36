"""Crops without a focal point, compared with libvips: `python -m benchmarks.attention --vips <python with pyvips>`.

Ten synthetic and real images, each cropped to a square and to a portrait by `attention.py` and by libvips's
`smartcrop(interesting="attention")`. Writes a contact sheet with a row per image: the image with both squares (ours
red, libvips's blue), our square, libvips's, our portrait, libvips's. Prints which share of the subject each crop shows.
Give the interpreter of an environment that has `pyvips[binary]`.
"""

import argparse
import json
import math
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from app.domain.recipe import Fit, VariantSpec
from app.worker.analysis.attention import measure_attention
from app.worker.analysis.placeholder import reduce_large
from app.worker.render.geometry import compute_shape

Box = tuple[int, int, int, int]
Scene = tuple[Image.Image, Box | None]

IMAGES = Path(__file__).parents[1] / "tests" / "images"
SHAPES = {"square": (1, 1), "portrait": (2, 3)}
_VIPS = """
import json, sys, pyvips
for line in sys.stdin:
    path, width, height = json.loads(line)
    image = pyvips.Image.new_from_file(path)
    cut = image.smartcrop(width, height, interesting="attention")
    print(json.dumps([-cut.xoffset, -cut.yoffset]), flush=True)
"""


def _ground(size: tuple[int, int], top: str, bottom: str, seed: int) -> Image.Image:
    """Draw a sky over a ground, with the grain of a photograph."""
    ramp = Image.linear_gradient("L").resize(size)
    grain = Image.effect_noise(size, 14).filter(ImageFilter.GaussianBlur(1))
    ground = Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp)
    assert seed >= 0
    return Image.blend(ground, Image.merge("RGB", (grain, grain, grain)), 0.08)


def _face(image: Image.Image, at: tuple[int, int], height: int, skin: str, shirt: str) -> Box:
    draw = ImageDraw.Draw(image)
    x, y, half = *at, height // 5
    draw.ellipse((x - 2 * half, y + half, x + 2 * half, y + 4 * height // 5 + half), fill=shirt)
    draw.ellipse((x - half, y - half - half // 3, x + half, y + half + half // 3), fill="#2b1d14")
    draw.ellipse((x - half + 4, y - half, x + half - 4, y + half + half // 3), fill=skin)
    for side in (-1, 1):
        draw.ellipse((x + side * half // 2 - 5, y - 8, x + side * half // 2 + 5, y + 2), fill="#151515")
    return (x - 2 * half, y - half - half // 3, x + 2 * half, y + 4 * height // 5 + half)


def _portrait_left() -> Scene:
    image = _ground((900, 500), "#8fa8b8", "#5f6b52", 1)
    return image, _face(image, (170, 190), 260, "#e3b08c", "#39506b")


def _portrait_dark_right() -> Scene:
    image = _ground((900, 500), "#a9a59b", "#7d776c", 2)
    return image, _face(image, (730, 190), 260, "#7a4a2b", "#d5d0c4")


def _tall_figure() -> Scene:
    image = _ground((500, 1100), "#b7c6cf", "#827a66", 3)
    return image, _face(image, (250, 200), 240, "#c98f63", "#7a2f2f")


def _red_boat() -> Scene:
    image = _ground((1000, 500), "#9fb4c2", "#3f6a80", 4)
    box = (690, 280, 860, 360)
    ImageDraw.Draw(image).polygon([(690, 310), (860, 310), (830, 360), (720, 360)], fill="#c22d1f")
    ImageDraw.Draw(image).polygon([(770, 305), (770, 200), (840, 305)], fill="#f3efe4")
    return image, (box[0], 200, box[2], box[3])


def _bird() -> Scene:
    image = _ground((1000, 600), "#dfe6ea", "#cfd8de", 5)
    ImageDraw.Draw(image).polygon(
        [(150, 130), (240, 170), (330, 120), (250, 200), (240, 230), (225, 198)], fill="#23262b"
    )
    return image, (150, 120, 330, 230)


def _flower() -> Scene:
    image = _ground((1000, 600), "#4d6b3c", "#31502a", 6)
    dice = random.Random(6)
    draw = ImageDraw.Draw(image)
    for _ in range(400):
        x, y = dice.randrange(1000), dice.randrange(600)
        draw.line((x, y, x + dice.randrange(-12, 12), y - dice.randrange(30)), fill="#5d8747", width=2)
    for petal in range(8):
        x, y = 300 + 55 * math.cos(petal * math.pi / 4), 330 + 55 * math.sin(petal * math.pi / 4)
        draw.ellipse((x - 38, y - 38, x + 38, y + 38), fill="#d65db1")
    draw.ellipse((265, 295, 335, 365), fill="#f2c63c")
    return image, (205, 235, 395, 425)


def _sign() -> Scene:
    image = _ground((1100, 500), "#b5b0a8", "#a39d92", 7)
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 150, 300, 330), fill="#f5f3ee", outline="#222222", width=6)
    for line in range(5):
        draw.line((65, 185 + 28 * line, 275 - 30 * (line % 2), 185 + 28 * line), fill="#222222", width=9)
    return image, (40, 150, 300, 330)


def _photo(name: str, pad: tuple[int, int, int, int]) -> Callable[[], Scene]:
    """Place a photograph off-center on a plain ground of its own darkened colors."""

    def make() -> Scene:
        with Image.open(IMAGES / name) as opened:
            photo = ImageOps.exif_transpose(opened).convert("RGB")
        photo.thumbnail((420, 420))
        left, top, right, bottom = pad
        size = (photo.width + left + right, photo.height + top + bottom)
        ground = photo.resize(size).filter(ImageFilter.GaussianBlur(60)).point(lambda tone: tone * 2 // 3)
        ground.paste(photo, (left, top))
        return ground, (left, top, left + photo.width, top + photo.height)

    return make


SCENES: dict[str, Callable[[], Scene]] = {
    "a face at the left": _portrait_left,
    "a dark face at the right": _portrait_dark_right,
    "a figure, upright": _tall_figure,
    "a red boat": _red_boat,
    "a bird in the sky": _bird,
    "a flower in grass": _flower,
    "a sign on a wall": _sign,
    "a photo at the right": _photo("pillow-tests__sugarshack.mpo", (520, 40, 30, 40)),
    "a photo at the bottom": _photo("libavif-tests__paris_exif_xmp_icc.jpg", (40, 560, 40, 20)),
    "a small face": _photo("pillow-tests__hopper_orientation_2.jpg", (60, 60, 300, 60)),
}


def ours(image: Image.Image, shape: tuple[int, int]) -> Box:
    spec = VariantSpec(name="v", width=shape[0] * 1000, height=shape[1] * 1000, fit=Fit.COVER)
    centered = compute_shape(spec, *image.size, None)
    point = measure_attention(reduce_large(image)).focus(centered, *image.size)
    left, top, right, bottom = compute_shape(spec, *image.size, point).box
    return round(left), round(top), round(right), round(bottom)


def theirs(vips: Path, images: list[Path], sizes: list[tuple[int, int]]) -> list[Box]:
    lines = "".join(json.dumps([str(path), *size]) + "\n" for path, size in zip(images, sizes, strict=True))
    out = subprocess.run([str(vips), "-c", _VIPS], input=lines, capture_output=True, text=True, check=True).stdout
    corners = [json.loads(line) for line in out.splitlines()]
    return [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]


def shown(thing: Box | None, crop: Box) -> float:
    """Return the share of the subject that a crop shows, relative to the maximum for a crop of that size."""
    if thing is None:
        return 1.0

    def along(axis: int) -> float:
        begin, end = max(thing[axis], crop[axis]), min(thing[axis + 2], crop[axis + 2])
        return max(0, end - begin) / min(thing[axis + 2] - thing[axis], crop[axis + 2] - crop[axis])

    return along(0) * along(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vips", type=Path, required=True, help="a Python with pyvips")
    parser.add_argument("--sheet", type=Path, default=Path(".cache/attention.png"))
    given = parser.parse_args()
    scenes = {name: make() for name, make in SCENES.items()}
    rows, spent = [], []
    with tempfile.TemporaryDirectory() as folder:
        paths, sizes, boxes = [], [], []
        for number, (image, _) in enumerate(scenes.values()):
            path = Path(folder, f"{number}.png")
            image.save(path)
            for shape in SHAPES.values():
                box = ours(image, shape)
                boxes.append(box)
                paths.append(path)
                sizes.append((box[2] - box[0], box[3] - box[1]))
            small = reduce_large(image)
            started = time.perf_counter()
            measure_attention(small)
            spent.append(1000 * (time.perf_counter() - started))
        other = theirs(given.vips, paths, sizes)
    print(f"{'':26}" + "".join(f"{shape:>12} ours  vips" for shape in SHAPES))
    for number, (name, (image, thing)) in enumerate(scenes.items()):
        at = number * len(SHAPES)
        pairs = [(boxes[at + index], other[at + index]) for index in range(len(SHAPES))]
        rows.append((image, pairs))
        print(f"{name:26}" + "".join(f"{shown(thing, a):17.2f} {shown(thing, b):5.2f}" for a, b in pairs))
    things = [thing for _, thing in scenes.values() for _ in SHAPES]
    means = [statistics.mean(map(shown, things, found)) for found in (boxes, other)]
    print(f"mean: ours {means[0]:.3f}, libvips {means[1]:.3f}; ours takes {statistics.median(spent):.1f} ms")
    given.sheet.parent.mkdir(parents=True, exist_ok=True)
    _sheet(rows).save(given.sheet)
    print(given.sheet)


def _sheet(rows: list[tuple[Image.Image, list[tuple[Box, Box]]]]) -> Image.Image:
    high, gap = 150, 6
    sheet = Image.new("RGB", (340 + 4 * (high + gap), len(rows) * (high + gap)), "white")
    for number, (image, pairs) in enumerate(rows):
        drawn = image.copy()
        draw = ImageDraw.Draw(drawn)
        for box, color in zip(pairs[0], ("#ff2020", "#2040ff"), strict=True):
            draw.rectangle(box, outline=color, width=8)
        whole = ImageOps.contain(drawn, (330, high))
        sheet.paste(whole, (0, number * (high + gap)))
        for column, box in enumerate(box for pair in pairs for box in pair):
            cut = ImageOps.contain(image.crop(box), (high, high))
            sheet.paste(cut, (340 + column * (high + gap), number * (high + gap)))
    return sheet


if __name__ == "__main__":
    main()
