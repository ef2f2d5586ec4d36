"""The variant that is shown in place of one that no longer exists."""

import pytest

from app.domain.images.choice import current_variant, whole_variants
from app.domain.models import Format, Image, Variant
from tests.contract.records import an_image


def an_image_with(*variants: tuple[str, str, int, int]) -> Image:
    """Build an image of 400 × 300 pixels with variants of these names, formats and sizes."""
    made = [
        Variant(name=name, format=Format(form), width=width, height=height, bytes=1, file=f"{name}.{form}")
        for name, form, width, height in variants
    ]
    return an_image(width=400, height=300, variants=made)


RENDERED = an_image_with(
    ("thumb", "webp", 50, 50), ("w200", "webp", 200, 150), ("w200", "jpeg", 200, 150), ("w400", "webp", 400, 300),
    ("w400", "avif", 400, 300), ("cover", "jpeg", 600, 100),
)  # fmt: skip


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("thumb.webp", ("thumb", "webp")),
        ("w200.jpg", ("w200", "jpeg")),
        ("w200.jpeg", ("w200", "jpeg")),
        ("thumb.jpg", ("thumb", "webp")),  # another format of a crop is better than another crop
        ("w400.png", ("w400", "webp")),
        ("w1280.webp", ("w400", "webp")),
        ("w1280.jpg", ("w200", "jpeg")),
        ("w1280.avif", ("w400", "avif")),
        ("w1280.png", ("w400", "webp")),
        ("w1280.gif", ("w400", "webp")),
    ],
)
def test_the_variant_in_place_of_a_superseded_file(file: str, expected: tuple[str, str]) -> None:
    found = current_variant(RENDERED, file)
    assert found is not None
    assert (found.name, found.format.value) == expected


def test_if_every_variant_is_cropped_the_largest_is_shown() -> None:
    cropped = an_image_with(("small", "webp", 50, 50), ("large", "webp", 100, 100), ("large", "jpeg", 100, 100))
    assert whole_variants(cropped) == cropped.variants
    for file, expected in {"w9.webp": "webp", "w9.jpg": "jpeg", "w9.avif": "jpeg"}.items():
        found = current_variant(cropped, file)
        assert found is not None
        assert (found.name, found.format.value) == ("large", expected)


def test_an_image_without_variants_has_none() -> None:
    assert current_variant(an_image_with(), "w320.webp") is None
