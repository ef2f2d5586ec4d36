"""Sizes that may be asked for without a signature."""

import itertools

import pytest

from app.domain.errors import Forbidden
from app.domain.models import Format
from app.domain.recipe import Fit
from app.domain.sizes.offer import WIDTHS, parse_ratios, parse_widths
from app.domain.sizes.query import SizeQuery
from app.domain.sizes.snapping import Ladder

WEBP = Format.WEBP
LADDER = Ladder(ratios=("1:1", "16:9"))
LANDSCAPE = (4000, 3000)


def snapped(query: SizeQuery, image: tuple[int, int] | None = None, form: Format = WEBP) -> str | None:
    operation = LADDER.snap(query, form, image)
    return operation and operation.name


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (SizeQuery(1), "w16-q75.webp"),
        (SizeQuery(640), "w640-q75.webp"),
        (SizeQuery(641), "w750-q75.webp"),
        (SizeQuery(9999), "w3840-q75.webp"),
        (SizeQuery(), "w3840-q75.webp"),
        (SizeQuery(640, quality=1), "w640-q50.webp"),
        (SizeQuery(640, quality=80), "w640-q75.webp"),
        (SizeQuery(640, quality=100), "w640-q90.webp"),
        (SizeQuery(640, 640, Fit.COVER), "w640-h640-cover-q75.webp"),
        (SizeQuery(600, 338, Fit.COVER), "w640-h360-cover-q75.webp"),
        (SizeQuery(33, 19, Fit.COVER), "w48-h27-cover-q75.webp"),
    ],
)
def test_a_query_snaps_without_the_image(query: SizeQuery, name: str) -> None:
    assert snapped(query) == name


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (SizeQuery(640, 480, Fit.COVER), "w640-q75.webp"),  # the aspect ratio of the image: nothing to crop
        (SizeQuery(None, 480), "w640-q75.webp"),
        (SizeQuery(1000, 480), "w640-q75.webp"),
        (SizeQuery(300, 480), "w384-q75.webp"),
    ],
)
def test_a_height_snaps_by_the_size_of_the_image(query: SizeQuery, name: str) -> None:
    assert snapped(query) is None
    assert snapped(query, LANDSCAPE) == name


def test_another_aspect_ratio_needs_a_signature() -> None:
    with pytest.raises(Forbidden) as caught:
        snapped(SizeQuery(640, 100, Fit.COVER), LANDSCAPE)
    assert caught.value.code == "size_not_offered"
    assert caught.value.extra == {"width": 640, "height": 100, "ratios": ["1:1", "16:9"]}


def test_png_has_one_quality() -> None:
    assert snapped(SizeQuery(640, quality=50), form=Format.PNG) == "w640-q100.png"


def test_the_number_of_files_is_bounded() -> None:
    """Sides up to 2,500, and every quality: no more names than the ladder says."""
    sides = (*range(1, 66, 4), *range(66, 2500, 397))
    queries = (
        SizeQuery(width, height, fit, quality=quality)
        for width, height, fit, quality in itertools.product(sides, (None, *sides), Fit, (1, 40, 75, 100))
        if height is not None or fit is Fit.INSIDE
    )
    names = set()
    for query in queries:
        for form in (Format.WEBP, Format.PNG):
            try:
                names.add(snapped(query, LANDSCAPE, form))
            except Forbidden:
                continue
    assert len(names) <= LADDER.most_files * 4 // 10  # WebP and PNG have 4 of the 10 qualities of all formats
    assert Ladder().most_files == 320


def test_default_widths_are_those_of_next() -> None:
    assert len(WIDTHS) == 16
    assert {640, 750, 828, 1080, 1200, 1920, 2048, 3840} | {32, 48, 64, 96, 128, 256, 384} < {*WIDTHS}


def test_lists_of_settings() -> None:
    assert parse_widths("640, 320,640") == (320, 640)
    assert parse_ratios("1:1, 16:9,1:1") == ("1:1", "16:9")
    assert parse_ratios("none") == parse_ratios("") == ()


@pytest.mark.parametrize("text", ["", "0", "a", "1.5", "16384", "-1", ",".join(map(str, range(1, 18)))])
def test_bad_widths(text: str) -> None:
    with pytest.raises(ValueError, match="found: "):
        parse_widths(text)


@pytest.mark.parametrize(
    "text", ["1", "0:1", "1:0", "a:b", "101:1", "16:9:1", "10000:1", ",".join(f"{n}:1" for n in range(1, 10))]
)
def test_bad_ratios(text: str) -> None:
    with pytest.raises(ValueError, match="found: "):
        parse_ratios(text)
