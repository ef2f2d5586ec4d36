"""Counts of images by owner follow every change of a record."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.errors import AlreadyExists, HashTaken, Stale
from app.domain.images.stats import Counters, count
from app.domain.models import Format, Image, Status, Variant, utcnow
from app.domain.ports import ImageRepository
from app.domain.work import Task
from tests.contract.records import FULL, OWNER, PROCESSED, an_image, stored, tombstone_of


def variant(name: str = "w320", size: int = 100, width: int = 320, **fields: Any) -> Variant:
    own = {"format": Format.WEBP, "height": width, "file": f"{name}.webp", **fields}
    return Variant(name=name, bytes=size, width=width, **own)


#: Changes that a worker makes.
READY: dict[str, Any] = {**PROCESSED, "recipe_id": "aaaaaaaaaaaa", "variants": [variant(), variant("w640", 300, 640)]}


@pytest.fixture
def counters(images: ImageRepository) -> Counters:
    found: Counters = images.counters  # type: ignore[attr-defined] # of the adapter
    return found


def counts(counters: Counters, owner: str = OWNER) -> Mapping[str, int]:
    """The counts that are not zero."""
    return {name: value for name, value in counters.get(owner).counts.items() if value}


def expected(*records: Image) -> Mapping[str, int]:
    """The counts of these records."""
    total: Counter[str] = Counter()
    for record in records:
        total.update(count(record))
    return {name: value for name, value in total.items() if value}


def test_an_upload_is_counted_from_its_record_to_its_delete(images: ImageRepository, counters: Counters) -> None:
    assert counts(counters) == {}
    image = stored(images, bytes=1000)
    assert counts(counters) == {"pending": 1, "original_bytes": 1000}
    ready = images.update(image.id, 1, READY)
    assert counts(counters) == {
        "ready": 1, "original_bytes": 1000, "variant_bytes": 400, "saved_bytes": 700, "recipe:aaaaaaaaaaaa": 1,
        "format:webp:images": 1, "format:webp:original_bytes": 1000, "format:webp:largest_bytes": 300,
        "format:webp:variant_bytes": 400,
    }  # fmt: skip
    trashed = images.update(image.id, ready.version, {"trashed_at": utcnow()})
    assert counts(counters) == {"trashed": 1, "trashed_bytes": 1400}
    restored = images.update(image.id, trashed.version, {"trashed_at": None})
    assert counts(counters) == expected(ready)
    images.delete(image.id, restored.version, tombstone_of(image))
    assert counts(counters) == {}


def test_an_image_that_is_rendered_again_is_counted_once(images: ImageRepository, counters: Counters) -> None:
    image = stored(images, bytes=1000)
    images.update(image.id, 1, READY)
    again = {"recipe_id": "bbbbbbbbbbbb", "variants": [variant("w640", 250, 640)], "rendering_id": "r2"}
    images.update(image.id, 2, again)  # names no field that a list follows from
    assert counts(counters) == {
        "ready": 1, "original_bytes": 1000, "variant_bytes": 250, "saved_bytes": 750, "recipe:bbbbbbbbbbbb": 1,
        "format:webp:images": 1, "format:webp:original_bytes": 1000, "format:webp:largest_bytes": 250,
        "format:webp:variant_bytes": 250,
    }  # fmt: skip
    images.update(image.id, 3, {"title": "seen", "tags": ["a"], "bytes": 2000})
    assert counts(counters)["original_bytes"] == 2000


def test_a_ticket_is_counted_once_its_bytes_are_there(images: ImageRepository, counters: Counters) -> None:
    waits = utcnow()
    ticket = stored(images, claim=False, upload_expires_at=waits, bytes=50)
    assert counts(counters) == {}
    images.update(ticket.id, 1, {"arrived_at": utcnow()})
    assert counts(counters) == {"pending": 1, "original_bytes": 50}
    images.update(ticket.id, 2, {**READY, "upload_expires_at": None})
    assert counts(counters)["ready"] == 1
    unused = [stored(images, claim=False, upload_expires_at=waits) for _ in range(3)]
    assert images.remove_all(unused) == {image.id for image in unused}
    assert counts(counters)["original_bytes"] == 50


def test_a_write_that_is_refused_is_not_counted(images: ImageRepository, counters: Counters) -> None:
    image = stored(images)
    with pytest.raises(AlreadyExists):
        images.create(image, claim=False)
    with pytest.raises(HashTaken):
        images.create(an_image(sha256=image.sha256), claim=True)
    with pytest.raises(Stale):
        images.update(image.id, 7, READY)
    with pytest.raises(Stale):
        images.delete(image.id, 7, tombstone_of(image))
    with pytest.raises(Stale):
        images.remove(image.id, 7)
    assert images.remove_all([image.model_copy(update={"version": 7})]) == set()
    images.reindex(image)
    assert counts(counters) == expected(image)


def test_every_field_of_a_full_record_is_counted_and_nothing_is_left_of_it(
    images: ImageRepository, counters: Counters
) -> None:
    image = stored(images, claim=False, **{**FULL, "upload_expires_at": None})
    assert counts(counters) == expected(image) == {"trashed": 1, "trashed_bytes": 5_000_000_009}
    images.remove(image.id, 1)
    assert counts(counters) == {}


def test_random_changes_leave_the_counts_of_the_records(images: ImageRepository, counters: Counters) -> None:
    chance = random.Random(7)
    changes: list[dict[str, Any]] = [
        READY,
        {"status": Status.FAILED, "work": {Task.PROCESS: None}},
        {"trashed_at": utcnow()},
        {"trashed_at": None},
        {"bytes": 77},
        {"recipe_id": "bbbbbbbbbbbb"},
        {"variants": [variant(size=9)]},
        {"title": "seen"},
    ]
    live: dict[str, Image] = {}
    for _ in range(60):
        kind = chance.choice(["create", "change", "change", "change", "remove"])
        if kind == "create" or not live:
            image = stored(images, owner=chance.choice([OWNER, "bob"]), bytes=chance.randrange(1000))
            live[image.id] = image
            continue
        image = live.pop(chance.choice(sorted(live)))
        if kind == "change":
            live[image.id] = images.update(image.id, image.version, chance.choice(changes))
        else:
            chance.choice([lambda: images.remove_all([image]), lambda: images.remove(image.id, image.version)])()  # noqa: B023
    for owner in (OWNER, "bob"):
        assert counts(counters, owner) == expected(*(image for image in live.values() if image.owner == owner))


def test_owners_are_listed_by_name_page_by_page(images: ImageRepository, counters: Counters) -> None:
    names = ["Zoe", "ann", "ann@example.org", "ann2", "bob.smith", "0123"]
    made = {name: stored(images, owner=name, bytes=number) for number, name in enumerate(names, 1)}
    stored(images, claim=False, owner="ticket-only", upload_expires_at=utcnow())
    found, after = [], None
    while page := counters.list(2, after):
        assert len(page) <= 2
        found += page
        after = page[-1].owner
    assert [each.owner for each in found] == sorted(names)
    assert {each.owner: each.counts for each in found} == {name: expected(made[name]) for name in names}
    assert [each.owner for each in counters.list(200)] == sorted(names)
    assert counters.get("nobody").counts == {}
