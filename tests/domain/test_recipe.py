"""A recipe is data that makes sense, and its rendering changes with the bytes it stands for."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.domain.models import FocalPoint
from app.domain.recipe import DEFAULT_RECIPE, Recipe, build_rendering_id


def test_the_default_ladder() -> None:
    sizes = [(spec.name, spec.width, spec.height, [f.value for f in spec.formats]) for spec in DEFAULT_RECIPE.variants]
    assert sizes == [
        ("thumb", 256, 256, ["webp"]),
        ("w320", 320, None, ["webp"]),
        ("w640", 640, None, ["webp"]),
        ("w1280", 1280, None, ["webp", "jpeg"]),
        ("w1920", 1920, None, ["webp"]),
    ]


def test_a_rendering_is_stable_and_changes_with_recipe_and_focal_point() -> None:
    base = build_rendering_id(DEFAULT_RECIPE, None)
    assert base == build_rendering_id(Recipe.model_validate(DEFAULT_RECIPE.model_dump(mode="json")), None)
    assert (
        len({base, build_rendering_id(DEFAULT_RECIPE, FocalPoint(x=0.1, y=0.2)), build_rendering_id(_one(), None)}) == 3
    )


@pytest.mark.parametrize(
    "variants",
    [
        [],
        [{"name": "a", "width": 1}, {"name": "a", "width": 2}],
        [{"name": "../a", "width": 1}],
        [{"name": "a", "width": 0}],
        [{"name": "a", "width": 16384}],
        [{"name": "a", "width": 10, "fit": "cover"}],
        [{"name": "a", "width": 10, "formats": []}],
        [{"name": "a", "width": 10, "formats": ["webp", "webp"]}],
        [{"name": "a", "width": 10, "formats": ["gif"]}],
        [{"name": "a", "width": 10, "quality": {"webp": 101}}],
        [{"name": "a", "width": 10, "color": "red"}],
    ],
)
def test_nonsense_is_refused(variants: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({"variants": variants})


def _one() -> Recipe:
    return Recipe.model_validate({"variants": [{"name": "only", "width": 100}]})
