"""Contents of a crop without a focal point."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from app.domain.models import FocalPoint, Format
from app.domain.recipe import Fit, VariantSpec
from app.worker.analysis.attention import measure_attention
from app.worker.render.geometry import compute_shape
from tests.samples import photo
from tests.worker.conftest import Process, recipe_of

SQUARE = VariantSpec(name="v", width=100, height=100, fit=Fit.COVER, formats=(Format.PNG,))


def focus(image: Image.Image, spec: VariantSpec = SQUARE) -> tuple[float, float]:
    point = measure_attention(image).focus(compute_shape(spec, *image.size, None), *image.size)
    return point.x, point.y


def scene(size: tuple[int, int], box: tuple[int, int, int, int], color: str = "#d8452e") -> Image.Image:
    """A dull sky over dull ground, and one thing in it."""
    image = Image.linear_gradient("L").resize(size).point(lambda tone: 140 + tone // 8).convert("RGB")
    ImageDraw.Draw(image).ellipse(box, fill=color)
    return image


@pytest.mark.parametrize(("x", "y"), [(60, 150), (200, 150), (420, 150), (540, 150)])
def test_a_wide_picture_is_cropped_to_what_stands_out(x: int, y: int) -> None:
    image = scene((600, 300), (x - 40, y - 40, x + 40, y + 40))
    found, fixed = focus(image)
    assert fixed == 0.5
    assert abs(min(max(found * 600, 150), 450) - min(max(x, 150), 450)) < 40
    assert found * 600 - 150 <= x - 40 or x < 150
    assert found * 600 + 150 >= x + 40 or x > 450


def test_a_tall_picture_too() -> None:
    fixed, found = focus(scene((300, 900), (100, 60, 200, 160)))
    assert fixed == 0.5
    assert found < 0.25


@pytest.mark.parametrize("skin", ["#f1c7a8", "#c68642", "#8d5524", "#5c3a22"])
def test_skin_of_every_tone_draws_the_eye(skin: str) -> None:
    image = scene((600, 300), (60, 90, 160, 210), skin)
    ImageDraw.Draw(image).ellipse((440, 90, 540, 210), fill="#707880")
    assert focus(image)[0] < 0.45


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (64, 64), (3, 2), (2000, 3)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_plain_image_is_cropped_in_the_middle(size: tuple[int, int], mode: str) -> None:
    assert focus(Image.new(mode, size)) == (0.5, 0.5)
    assert focus(Image.new(mode, size, "white")) == (0.5, 0.5)


def test_transparent_pixels_attract_no_attention() -> None:
    image = Image.new("RGBA", (600, 300), (255, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 200, 300), fill=(0, 255, 0, 0))
    ImageDraw.Draw(image).ellipse((480, 100, 580, 200), fill=(90, 90, 200, 255))
    assert focus(image)[0] > 0.6


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 5), st.integers(1, 400), st.integers(1, 400))
def test_it_never_fails_and_says_the_same_twice(width: int, height: int, seed: int, across: int, down: int) -> None:
    image = photo(width, height, seed)
    spec = VariantSpec(name="v", width=across, height=down, fit=Fit.COVER)
    x, y = focus(image, spec)
    assert 0 <= x <= 1
    assert 0 <= y <= 1
    assert focus(image.copy(), spec) == (x, y)


def test_crops_follow_it_unless_they_are_told_where_to_look(process: Process) -> None:
    out = io.BytesIO()
    scene((600, 300), (460, 100, 560, 200)).save(out, "PNG")

    def reddest(**options: FocalPoint) -> int:
        _, folder = process(out.getvalue(), recipe_of(SQUARE), **options)
        with Image.open(folder / "v.png") as image:
            return int(image.getchannel("R").getextrema()[1])

    assert reddest() > 200
    assert reddest(focal_point=FocalPoint(x=0, y=0)) < 200
