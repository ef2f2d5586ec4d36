"""Look-alikes of real photographs, from upload to answer, on both sides."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from app.domain.images.similar import LookAlikeSearch
from app.worker.process import Outcome
from tests.samples import image_file
from tests.tiers import smoke
from tests.worker.conftest import Bench

PHOTOGRAPHS = [
    "pillow-tests__hopper_orientation_6.jpg",
    "pillow-tests__sugarshack.mpo",
    "libavif-tests__paris_exif_xmp_icc.jpg",
]


def photograph(name: str) -> Image.Image:
    with Image.open(image_file(name)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def encoded(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def labeled(image: Image.Image) -> Image.Image:
    """The photograph with a caption over its lower third."""
    copy = image.copy()
    ImageDraw.Draw(copy).rectangle((0, image.height * 2 // 3, image.width, image.height), fill="white")
    return copy


def cropped(image: Image.Image) -> Image.Image:
    """A tenth of the width and of the height is cut off at each side."""
    x, y = image.width // 10, image.height // 10
    return image.crop((x, y, image.width - x, image.height - y))


SURVIVES: dict[str, Callable[[Image.Image], bytes]] = {
    "resized": lambda image: encoded(image.resize((image.width * 2 // 3, image.height * 2 // 3))),
    "thumbnail": lambda image: encoded(ImageOps.contain(image, (96, 96)), "JPEG"),
    "recompressed": lambda image: encoded(image, "JPEG", quality=20),
    "webp": lambda image: encoded(image, "WEBP", quality=40),
    "avif": lambda image: encoded(image, "AVIF", quality=40),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.15)),
    "contrast": lambda image: encoded(ImageEnhance.Contrast(image).enhance(1.2)),
    "gray": lambda image: encoded(ImageOps.grayscale(image)),
}
DOES_NOT: dict[str, Callable[[Image.Image], bytes]] = {
    "cropped": lambda image: encoded(cropped(image)),
    "mirrored": lambda image: encoded(ImageOps.mirror(image)),
    "turned": lambda image: encoded(image.transpose(Image.Transpose.ROTATE_90)),
    "labeled": lambda image: encoded(labeled(image)),
}


def processed(bench: Bench, body: bytes) -> str:
    image_id = bench.upload(body)
    assert bench.worker().handle(image_id) is Outcome.READY
    return image_id


def look_alikes(bench: Bench, image_id: str) -> set[str]:
    found = LookAlikeSearch(bench.side.images).find(bench.image(image_id), 6, 100)
    assert found.comparable
    assert found.complete
    return {each.image.id for each in found.items}


@pytest.mark.parametrize("name", smoke(PHOTOGRAPHS))
def test_a_photograph_is_found_after_changes_of_size_format_and_light(bench: Bench, name: str) -> None:
    image = photograph(name)
    original = processed(bench, encoded(image))
    for other in PHOTOGRAPHS:
        if other != name:
            processed(bench, encoded(photograph(other)))
    copies = {change: processed(bench, make(image)) for change, make in SURVIVES.items()}
    copies["original"] = original
    for image_id in copies.values():
        assert look_alikes(bench, image_id) == set(copies.values()) - {image_id}


@pytest.mark.parametrize("name", smoke(PHOTOGRAPHS))
def test_a_photograph_is_not_found_after_changes_of_what_it_shows(bench: Bench, name: str) -> None:
    image = photograph(name)
    original = processed(bench, encoded(image))
    for make in DOES_NOT.values():
        processed(bench, make(image))
    assert look_alikes(bench, original) == set()


def test_blank_pages_are_not_compared(bench: Bench) -> None:
    first, _ = (processed(bench, encoded(Image.new("RGB", size, "white"))) for size in ((300, 200), (310, 200)))
    found = LookAlikeSearch(bench.side.images).find(bench.image(first), 10, 10)
    assert (list(found.items), found.comparable) == ([], False)
