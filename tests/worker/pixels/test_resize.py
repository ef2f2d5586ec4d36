"""Resizing in several threads gives the same image as in one."""

import random

import pytest
from PIL import Image, ImageChops

from app.worker.pixels.resize import Resizer

SIZES = {
    "just below": ((378, 504), (360, 480)),
    "odd": ((377, 505), (319, 427)),
    "averaged by two": ((650, 500), (250, 192)),
    "averaged by three": ((751, 525), (220, 154)),
    "wide": ((2250, 175), (2000, 156)),
    "tall": ((125, 2250), (100, 1800)),
    "down alone": ((250, 400), (250, 200)),
    "across alone": ((400, 250), (200, 250)),
}


@pytest.fixture(autouse=True)
def _every_picture_is_worth_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.worker.pixels.bands._WORTH", 4_000)


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    """Grain with hard edges in it, the worst there is for a filter that is off by a row."""
    dice = random.Random(size[0])
    picture = Image.frombytes(mode, size, dice.randbytes(size[0] * size[1] * len(mode)))
    for row in range(0, size[1], 97):
        picture.paste(0 if row % 2 else 255 if len(mode) == 1 else (255,) * len(mode), (0, row, size[0], row + 1))
    return picture


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("crisp", [False, True], ids=["averaged", "crisp"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_bands_are_what_one_thread_makes(sizes: tuple[tuple[int, int], tuple[int, int]], *, crisp: bool, threads: int):
    picture = noise("L", sizes[0])
    alone = Resizer(1, crisp).whole(picture, sizes[1])
    if sizes == SIZES["tall"]:  # one call goes down first here
        alone = picture.resize((100, 2250)).resize((100, 1800))
    banded = Resizer(threads, crisp).whole(picture, sizes[1])
    assert banded.size == alone.size == sizes[1]
    low, high = ImageChops.difference(alone, banded).getextrema()
    assert (low, high) <= (0, 1)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
def test_bands_are_equal_in_every_mode(mode: str):
    picture = noise(mode, (375, 325))
    alone, banded = (Resizer(threads).whole(picture, (300, 260)) for threads in (1, 2))
    assert banded.mode == alone.mode == mode
    difference = ImageChops.difference(alone, banded)
    assert all(high <= 1 for _, high in bands_of(difference))


def bands_of(picture: Image.Image) -> list[tuple[int, int]]:
    return [band.getextrema() for band in picture.split()]  # type: ignore[misc]  # of one band, so one pair


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(250, 200), (175, 140)], ids=["filtered", "averaged"])
def test_transparent_pixels_color_no_others(threads: int, size: tuple[int, int]):
    picture = Image.new("RGBA", (400, 320), (0, 255, 0, 0))
    picture.paste((200, 0, 0, 255), (0, 0, 201, 320))
    small = Resizer(threads).whole(picture, size)
    _, green, _, alpha = small.split()
    seen = ImageChops.multiply(green, alpha)
    assert bands_of(alpha)[0] == (0, 255)
    assert bands_of(seen)[0][1] <= 1


def test_a_picture_of_that_size_is_itself():
    picture = Image.new("RGB", (225, 225))
    assert Resizer(2).whole(picture, (225, 225)) is picture
