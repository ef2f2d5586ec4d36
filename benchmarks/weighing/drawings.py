"""Images that are made by script, the same on every machine: the font is Pillow's own."""

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

_SIZE = (640, 480)
_WORDS = (
    "images",
    "arrive",
    "upload",
    "worker",
    "renders",
    "variants",
    "record",
    "pages",
    "show",
    "the",
    "same",
    "code",
    "runs",
    "self",
    "hosted",
    "and",
    "with",
    "files",
    "store",
    "queue",
    "table",
    "sizes",
    "formats",
    "quality",
    "bytes",
    "cache",
    "browser",
    "answer",
    "request",
)


def _text(draw: ImageDraw.ImageDraw, at: tuple[float, float], line: str, size: int, color: str) -> None:
    draw.text(at, line, color, font=ImageFont.load_default(size))


def page() -> Image.Image:
    """Draw a page of text with a heading, a menu, links and a button."""
    dice = random.Random(1)
    image = Image.new("RGB", _SIZE, "#ffffff")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 640, 36), "#24292f")
    for number, entry in enumerate(("Overview", "Images", "Keys", "Settings")):
        _text(draw, (16 + 90 * number, 9), entry, 15, "#ffffff")
    _text(draw, (24, 54), "How an image is processed", 27, "#1f2328")
    y = 100
    while y < 400:
        words = [dice.choice(_WORDS) for _ in range(11)]
        color = "#0969da" if dice.random() < 0.15 else "#1f2328"
        _text(draw, (24, y), " ".join(words).capitalize(), 14, color)
        y += 21
    draw.rounded_rectangle((24, 420, 144, 456), 6, "#1f883d")
    _text(draw, (46, 429), "Upload now", 14, "#ffffff")
    return image


def code() -> Image.Image:
    """Draw an editor with colored code on a dark background."""
    dice = random.Random(2)
    image = Image.new("RGB", _SIZE, "#0d1117")
    draw = ImageDraw.Draw(image)
    colors = ("#ff7b72", "#79c0ff", "#a5d6ff", "#d2a8ff", "#e6edf3", "#8b949e")
    for line in range(24):
        x = 44.0 + 24 * dice.randrange(3)
        _text(draw, (12, 10 + 19 * line), str(line + 1), 12, "#6e7681")
        for _ in range(dice.randrange(2, 7)):
            word = dice.choice(_WORDS) + dice.choice(("", "()", " =", ":", ","))
            _text(draw, (x, 9 + 19 * line), word, 13, dice.choice(colors))
            x += draw.textlength(word + " ", font=ImageFont.load_default(13))
    return image


def plan() -> Image.Image:
    """Draw thin black lines on white: walls, arcs and dimensions."""
    big = Image.new("RGB", (_SIZE[0] * 2, _SIZE[1] * 2), "white")
    draw = ImageDraw.Draw(big)
    dice = random.Random(3)
    draw.rectangle((80, 80, 1200, 880), outline="black", width=9)
    for _ in range(14):
        x, y = dice.randrange(80, 1100), dice.randrange(80, 800)
        draw.rectangle((x, y, x + dice.randrange(60, 400), y + dice.randrange(60, 300)), outline="black", width=4)
        draw.arc((x - 70, y - 70, x + 70, y + 70), 0, 90, fill="black", width=2)
        draw.line((x, y, x + 300, y + dice.randrange(-120, 120)), fill="#444444", width=2)
        _text(draw, (x + 8, y + 8), f"{dice.randrange(100, 900)} cm", 26, "black")
    return big.resize(_SIZE, Image.Resampling.LANCZOS)


def bottle() -> Image.Image:
    """Draw a shaded bottle with a label and a soft shadow on white, as shops show their goods."""
    image = Image.new("RGB", _SIZE, "white")
    shadow = Image.new("L", _SIZE, 0)
    ImageDraw.Draw(shadow).ellipse((200, 408, 470, 452), fill=120)
    image.paste("#606060", mask=shadow.filter(ImageFilter.GaussianBlur(14)))
    shape = Image.new("L", _SIZE, 0)
    draw = ImageDraw.Draw(shape)
    draw.rounded_rectangle((240, 150, 400, 432), 34, fill=255)
    draw.rectangle((296, 44, 344, 170), fill=255)
    across = [round(70 + 150 * max(0.0, math.sin(math.pi * (x - 228) / 190)) ** 1.7) for x in range(640)]
    glass = Image.new("RGB", (640, 1))
    glass.putdata([(value // 4, min(255, value), value // 3) for value in across])
    grain = _grain(_SIZE, 6, 7)
    lit = ImageChops.add(glass.resize(_SIZE), Image.merge("RGB", [grain] * 3), 1, -128)
    image.paste(lit, mask=shape.filter(ImageFilter.GaussianBlur(0.8)))
    draw = ImageDraw.Draw(image)
    draw.rectangle((242, 240, 398, 350), "#f4ecd8")
    _text(draw, (262, 256), "OLIVE OIL", 22, "#5a3e1b")
    _text(draw, (262, 290), "cold pressed", 16, "#8a1c1c")
    _text(draw, (262, 318), "500 ml", 14, "#333333")
    return image


def hills() -> Image.Image:
    """Draw hills, a sun and trees in flat colors."""
    big = Image.new("RGB", (_SIZE[0] * 2, _SIZE[1] * 2), "#ffd9a0")
    draw = ImageDraw.Draw(big)
    draw.ellipse((820, 120, 1060, 360), "#ff8a5c")
    for number, color in enumerate(("#8fb996", "#5f9e7a", "#38755b", "#1f4e46")):
        line = [(x, 480 + 110 * number + 70 * math.sin(x / (170 + 60 * number) + number)) for x in range(0, 1300, 10)]
        draw.polygon([*line, (1290, 960), (0, 960)], fill=color)
    for x in range(60, 1280, 170):
        draw.polygon(((x, 900), (x + 40, 700), (x + 80, 900)), fill="#12332e")
    return big.resize(_SIZE, Image.Resampling.LANCZOS)


def chart() -> Image.Image:
    """Draw bars and a line with labels."""
    image = Image.new("RGB", _SIZE, "#fafafa")
    draw = ImageDraw.Draw(image)
    dice = random.Random(5)
    _text(draw, (24, 14), "Bytes by month", 22, "#222222")
    for y in range(80, 440, 40):
        draw.line((50, y, 620, y), fill="#dddddd")
        _text(draw, (14, y - 7), str((440 - y) // 4), 12, "#666666")
    tops: list[tuple[float, float]] = []
    for number in range(12):
        x, top = 62 + 46 * number, dice.randrange(90, 400)
        draw.rectangle((x, top, x + 28, 439), ("#4e79a7", "#f28e2b", "#59a14f")[number % 3])
        _text(draw, (x + 4, 446), f"{number + 1:02}", 12, "#444444")
        tops.append((x + 14, top - 20))
    draw.line(tops, fill="#e15759", width=3)
    return image


def noise() -> Image.Image:
    """Return a gradient with strong noise in each channel."""
    ramp = Image.linear_gradient("L").resize((400, 400))
    channels = (_grain((400, 400), 40, seed) for seed in (1, 2, 3))
    return Image.merge("RGB", [ImageChops.add(ramp, channel, 1, -128) for channel in channels])


def badge() -> Image.Image:
    """Draw a badge in flat colors on a transparent background."""
    big = Image.new("RGBA", (800, 800), (0, 0, 0, 0))
    draw = ImageDraw.Draw(big)
    points: Sequence[tuple[float, float]] = [
        (400 + radius * math.sin(angle), 400 - radius * math.cos(angle))
        for step in range(24)
        for angle, radius in [(step * math.pi / 12, 370 if step % 2 else 310)]
    ]
    draw.polygon(points, fill="#7b2ff7")
    draw.ellipse((160, 160, 640, 640), fill="#f107a3")
    draw.ellipse((200, 200, 600, 600), fill=(255, 255, 255, 128))
    _text(draw, (250, 345), "FREE", 110, "#2b0a4f")
    return big.resize((400, 400), Image.Resampling.LANCZOS)


def cut_out(image: Image.Image) -> Image.Image:
    """Give an image a transparent surrounding with a soft edge."""
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse((40, 10, image.width - 60, image.height + 120), fill=255)
    image = image.convert("RGBA")
    image.putalpha(mask.filter(ImageFilter.GaussianBlur(6)))
    return Image.composite(
        image, Image.new("RGBA", image.size, (0, 0, 0, 0)), mask.point(lambda value: 255 * (value > 0))
    )


def darkened(image: Image.Image) -> Image.Image:
    """Make a photograph dark and warm, with the noise of a small sensor at night after noise reduction."""
    dark = image.point(
        [round(255 * (value / 255) ** 1.9 * share) for share in (0.5, 0.42, 0.3) for value in range(256)]
    )
    grain = [_grain(image.size, 9, seed).filter(ImageFilter.GaussianBlur(0.7)) for seed in (4, 5, 6)]
    return ImageChops.add(dark, Image.merge("RGB", grain), 1, -124)


def _grain(size: tuple[int, int], sigma: float, seed: int) -> Image.Image:
    """Return noise around 128, the same for the same seed."""
    dice = random.Random(seed)
    values = bytes(min(255, max(0, round(dice.gauss(128, sigma)))) for _ in range(size[0] * size[1]))
    return Image.frombytes("L", size, values)
