"""Counts of single images, and the answer that is built from the counts of an owner."""

from typing import Any

import pytest

from app.api.views.stats import build_stats
from app.domain.images.stats import COUNTED, OwnerCounts, add_up, count
from app.domain.models import Format, Image, Status, Variant, utcnow
from app.domain.quota.usage import NO_QUOTA
from app.domain.recipe import DEFAULT_RECIPE, build_recipe_id
from tests.contract.records import an_image

CURRENT = f"recipe:{build_recipe_id(DEFAULT_RECIPE)}"


def variant(
    name: str, width: int, size: int, form: Format = Format.WEBP, *, height: int = 0, file: str = ""
) -> Variant:
    return Variant(
        name=name, format=form, width=width, height=height or width, bytes=size, file=file or f"{name}.{form.extension}"
    )


def ready(*variants: Variant, **fields: Any) -> Image:
    return an_image(status=Status.READY, work={}, variants=list(variants), **{"bytes": 1000, **fields})


@pytest.mark.parametrize(
    ("variants", "stored", "saved"),
    [
        ([], 0, None),
        ([variant("w320", 320, 40)], 40, 960),
        ([variant("w320", 320, 40), variant("w640", 640, 90)], 130, 910),
        ([variant("w640", 640, 90, Format.JPEG), variant("w640", 640, 70), variant("w320", 320, 5)], 165, 930),
        ([variant("w640", 640, 90), variant("w1280", 640, 90, file="w640.webp")], 90, 910),
        ([variant("thumb", 256, 30, height=256), variant("w320", 320, 20, height=100)], 50, 970),  # of the larger area
        ([variant("w640", 640, 1500)], 1500, 0),
    ],
    ids=["none", "one", "two sizes", "two formats", "a shared file", "a cropped one", "larger than the original"],
)
def test_the_bytes_of_variants(variants: list[Variant], stored: int, saved: int | None) -> None:
    counts = count(ready(*variants))
    assert (counts["variant_bytes"], counts.get("saved_bytes")) == (stored, saved)


def test_originals_are_compared_with_the_variants_of_each_format() -> None:
    image = ready(
        variant("w320", 320, 40),
        variant("w640", 640, 90),
        variant("w1280", 640, 90, file="w640.webp"),  # the same file under two names
        variant("w640", 640, 150, Format.JPEG),
    )
    small = ready(variant("w320", 320, 4), bytes=10)
    webp = {"format": "webp", "images": 2, "original_bytes": 1010, "largest_bytes": 94, "variant_bytes": 134}
    jpeg = {"format": "jpeg", "images": 1, "original_bytes": 1000, "largest_bytes": 150, "variant_bytes": 150}
    counts = add_up([(None, image), (None, small)])["ada"]
    stats = build_stats(OwnerCounts("ada", counts), DEFAULT_RECIPE, NO_QUOTA, exact=True)
    assert [each.model_dump() for each in stats.formats] == [webp, jpeg]
    assert not build_stats(
        OwnerCounts("ada", {"format:webp:images": -1}), DEFAULT_RECIPE, NO_QUOTA, exact=False
    ).formats


def test_variants_save_nothing_until_they_are_shown() -> None:
    shown = variant("w320", 320, 40)
    assert "saved_bytes" not in count(an_image(variants=[shown]))
    assert "saved_bytes" not in count(an_image(status=Status.FAILED, variants=[shown], recipe_id="aaaaaaaaaaaa"))
    assert count(ready(shown, trashed_at=utcnow())) == {"trashed": 1, "trashed_bytes": 1040}
    assert count(an_image(upload_expires_at=utcnow(), trashed_at=utcnow())) == {}


def test_fields_that_change_no_count_are_not_among_those_that_do() -> None:
    image = ready(variant("w320", 320, 40), recipe_id="aaaaaaaaaaaa")
    other: dict[str, Any] = {
        "status": Status.PENDING, "trashed_at": utcnow(), "upload_expires_at": utcnow(), "bytes": 5, "variants": [],
        "recipe_id": None, "title": "t", "tags": ["a"], "sha256": None, "phash": "0" * 16, "visibility": "public",
    }  # fmt: skip
    changing = {name for name, value in other.items() if count(image.model_copy(update={name: value})) != count(image)}
    assert changing | {"arrived_at"} == COUNTED
    ticket = image.model_copy(update={"upload_expires_at": utcnow()})
    assert count(ticket.model_copy(update={"arrived_at": utcnow()})) == count(image)


def test_changes_are_added_up_by_owner_and_those_that_cancel_out_are_left_out() -> None:
    image, other = an_image(bytes=10), an_image(bytes=20, owner="bob")
    failed = image.model_copy(update={"status": Status.FAILED})
    assert add_up([(None, image), (image, failed), (None, other)]) == {
        "ada": {"failed": 1, "original_bytes": 10},
        "bob": {"pending": 1, "original_bytes": 20},
    }
    assert add_up([(None, image), (image, None), (other, other)]) == {}


def test_counts_below_zero_are_shown_as_zero() -> None:
    found = OwnerCounts("ada", {"pending": -1, "ready": 3, "failed": 2, "variant_bytes": -40, CURRENT: 1})
    stats = build_stats(found, DEFAULT_RECIPE, NO_QUOTA, exact=False)
    assert (stats.images, stats.pending, stats.ready, stats.failed, stats.stale) == (5, 0, 3, 2, 2)
    assert (stats.variant_bytes, stats.original_bytes, stats.trashed) == (0, 0, 0)
    more = OwnerCounts("ada", {"ready": 1, CURRENT: 4})
    assert build_stats(more, DEFAULT_RECIPE, NO_QUOTA, exact=False).stale == 0
