"""Images of each format stay `ready` with any damage outside of their pixels."""

import random
from collections.abc import Callable

import pytest

from app.domain.models import Format
from app.domain.recipe import VariantSpec
from tests.fuzz.anatomy import Part, parts_of
from tests.fuzz.seeds import seeds
from tests.tiers import smoke
from tests.worker.conftest import Process, recipe_of

TINY = recipe_of(VariantSpec(name="v", width=16, formats=(Format.PNG,)))
SEEDS = dict(seeds())
_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"eXIf", b"tRNS", b"pHYs"}
_TAGS = {270, 271, 272, 282, 283, 296, 305, 315, 33432, 34665, 34853, 700}
_FIELDS = {2, 6, 34, 38, 42, 50}  # of a BMP: sizes, reserved bytes, resolution, important colors
Stretch = tuple[int, int]


def _jpeg(part: Part, head: bytes) -> Stretch | None:
    describes = 0xE1 <= head[1] <= 0xEF or head[1] == 0xFE
    return (part.start + 2, part.end) if head[0] == 0xFF and describes and head[1] != 0xEE else None


def _png(part: Part, head: bytes) -> Stretch | None:
    return (part.start, part.end) if head[4:8] in _CHUNKS else None


def _webp(part: Part, head: bytes) -> Stretch | None:
    return (part.start + 4, part.end) if head[:4] in {b"EXIF", b"XMP ", b"ICCP"} else None


def _gif(part: Part, head: bytes) -> Stretch | None:
    return (part.start + 2, part.end - 1) if head[:1] == b"!" else None


def _tiff(part: Part, head: bytes) -> Stretch | None:
    return (part.start + 2, part.end) if int.from_bytes(head[:2], part.order) in _TAGS else None


def _bmp(part: Part, head: bytes) -> Stretch | None:
    return (part.start, part.end) if part.start in _FIELDS else None


PICTURES: list[tuple[str, Callable[[Part, bytes], Stretch | None]]] = [
    ("exif.jpg", _jpeg), ("exif.png", _png), ("told.webp", _webp), ("moving.gif", _gif), ("thumbnail.tif", _tiff),
    ("palette.bmp", _bmp),
    ("told.jpg", _jpeg), ("no-end.jpg", _jpeg), ("libavif-tests__paris_exif_xmp_icc.jpg", _jpeg), ("told.png", _png),
    ("palette.png", _png), ("pngsuite__basn0g16.png", _png), ("lossy.webp", _webp), ("over.gif", _gif),
    ("big.tif", _tiff), ("plain.bmp", _bmp), ("fields.bmp", _bmp),
]  # fmt: skip


@pytest.mark.parametrize(("name", "place"), smoke(PICTURES, 3), ids=[name for name, _ in PICTURES])
def test_damage_beside_the_pixels_makes_no_image_fail(
    process: Process, name: str, place: Callable[[Part, bytes], Stretch | None]
) -> None:
    """Lengths, names and contents, in sixty ways each."""
    body = SEEDS[name]
    found = [stretch for part in parts_of(body) if (stretch := place(part, body[part.start : part.end]))]
    stretches = [(start, min(end, len(body))) for start, end in found if start < min(end, len(body))]
    assert stretches
    clean, _ = process(body, TINY)
    for number in range(60):
        dice = random.Random(f"{name}/{number}")
        damaged = bytearray(body)
        start, end = dice.choice(stretches)
        for _ in range(dice.choice((1, 1, 2, 8))):
            damaged[dice.randrange(start, end)] = dice.choice((0, 1, 255, 128, dice.randrange(256)))
        processed, _ = process(bytes(damaged), TINY)
        assert {processed.width, processed.height} == {clean.width, clean.height}, number
