from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.models import FocalPoint
from app.domain.recipe import Fit, VariantSpec
from app.worker.render.geometry import compute_shape

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SIDE = st.integers(1, 70_000)
BOX = st.integers(1, 16_383)


@UNHURRIED
@given(SIDE, SIDE, BOX, st.none() | BOX)
def test_inside_keeps_aspect_and_never_enlarges(width: int, height: int, box_w: int, box_h: int | None) -> None:
    shape = compute_shape(VariantSpec(name="v", width=box_w, height=box_h), width, height, None)
    assert shape.whole
    assert 1 <= shape.size[0] <= min(width, box_w)
    assert 1 <= shape.size[1] <= min(height, box_h or 16_383)
    expected = shape.size[0] * height / width
    assert abs(shape.size[1] - expected) <= 0.5 + height / width or shape.size[1] == 1 or shape.size[0] == 1


@UNHURRIED
@given(SIDE, SIDE, BOX, BOX, st.floats(0, 1), st.floats(0, 1))
def test_cover_stays_in_the_picture(width: int, height: int, box_w: int, box_h: int, x: float, y: float) -> None:
    spec = VariantSpec(name="v", width=box_w, height=box_h, fit=Fit.COVER)
    shape = compute_shape(spec, width, height, FocalPoint(x=x, y=y))
    left, top, right, bottom = shape.box
    assert 0 <= left < right <= width * (1 + 1e-9)
    assert 0 <= top < bottom <= height * (1 + 1e-9)
    assert 1 <= shape.size[0] <= box_w
    assert 1 <= shape.size[1] <= box_h
    assert shape.scale <= 1 + 1e-9
    if width >= box_w and height >= box_h:
        assert shape.size == (box_w, box_h)


def sized(picture_width: int, picture_height: int, **spec: object) -> tuple[int, int]:
    return compute_shape(VariantSpec.model_validate({"name": "v", **spec}), picture_width, picture_height, None).size


def test_examples() -> None:
    assert sized(4000, 3000, width=1920) == (1920, 1440)
    assert sized(100, 50, width=1920) == (100, 50)
    assert sized(3000, 4000, width=1000, height=1000) == (750, 1000)
    assert sized(1, 60_000, width=1920) == (1, 16_383)
    assert sized(64, 48, width=256, height=256, fit="cover") == (48, 48)
    assert sized(4000, 3000, width=256, height=256, fit="cover") == (256, 256)
    assert sized(1000, 100, width=200, height=150, fit="cover") == (133, 100)


def test_focal_point_decides_the_crop() -> None:
    spec = VariantSpec(name="v", width=100, height=100, fit=Fit.COVER)
    assert compute_shape(spec, 400, 100, FocalPoint(x=0, y=0.5)).box == (0, 0, 100, 100)
    assert compute_shape(spec, 400, 100, FocalPoint(x=1, y=0.5)).box == (300, 0, 400, 100)
    assert compute_shape(spec, 400, 100, None).box == (150, 0, 250, 100)
