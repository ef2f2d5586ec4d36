"""Objects without a record: found with any clock, adopted or removed, and no object of an image touched."""

import io
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.ids import first_id_at, new_id
from app.domain.keys import original_key, variant_key
from app.domain.maintenance.orphans import GRACE, Orphan, Orphans
from app.domain.maintenance.report import Report
from app.domain.models import ANONYMOUS, Image, Status, utcnow
from tests.contract.records import an_image
from tests.sides import Interposed, Side, self_hosted

LATER = utcnow() + timedelta(hours=2)


def put(side: Side, key: str) -> str:
    side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/webp")
    return key


def ready(side: Side, *, ahead: timedelta = timedelta(0)) -> Image:
    """A ready image with an original and a variant, uploaded while the clock was ahead by so much."""
    then = utcnow() + ahead
    image = an_image(
        id=first_id_at(then)[:24] + new_id()[24:], owner=ANONYMOUS, uploaded_at=then, updated_at=then,
        status=Status.READY, rendering_id="r",
    )  # fmt: skip
    side.images.create(image, claim=False)
    put(side, original_key(image.id))
    put(side, variant_key(image.id, "r", "a.webp"))
    return image


def find(side: Side, report: Report | None = None, **options: Any) -> list[Orphan]:
    orphans = Orphans(side.store, side.images, side.queue)
    return list(orphans.find(report or Report(), **{"now": LATER, **options}))


def keys(found: list[Orphan]) -> set[str]:
    return {orphan.object.key for orphan in found}


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=1), timedelta(days=1), timedelta(days=10_000)])
def test_no_object_of_an_image_is_an_orphan_whatever_time_its_id_says(side: Side, ahead: timedelta) -> None:
    ready(side, ahead=ahead)
    for now in (utcnow(), LATER, utcnow() - timedelta(days=400), utcnow() + timedelta(days=4000)):
        for grace in (GRACE, timedelta(0)):
            assert find(side, now=now, grace=grace) == []


def test_objects_without_a_record_are_found_and_removed(side: Side) -> None:
    image = ready(side)
    stray = {put(side, key) for key in (original_key(new_id()), variant_key(new_id(), "r", "a.webp"))}
    kept = side.objects() - stray
    report = Report()
    found = find(side, report)
    assert keys(found) == stray
    assert (report.orphans, report.orphans_removed) == (2, 0)
    assert side.objects() == kept | stray
    orphans = Orphans(side.store, side.images, side.queue)
    assert all(orphans.remove(orphan, report) for orphan in found)
    assert report.orphans_removed == 2
    assert side.objects() == kept
    assert side.images.get(image.id) == image


def test_young_objects_are_counted_and_the_grace_time_can_be_set(side: Side) -> None:
    stray = put(side, original_key(new_id()))
    report = Report()
    assert find(side, report, now=utcnow()) == []
    assert (report.orphans, report.orphans_young) == (0, 1)
    assert keys(find(side, now=utcnow(), grace=timedelta(0))) == {stray}
    assert keys(find(side, now=utcnow() + timedelta(minutes=11), grace=timedelta(minutes=10))) == {stray}


def test_an_object_of_the_future_was_stored_before_the_clock_was_set_back(side: Side) -> None:
    stray = put(side, original_key(new_id()))
    assert keys(find(side, now=utcnow() - timedelta(days=30))) == {stray}
    assert find(side, now=utcnow() - timedelta(minutes=30)) == []


def test_an_orphan_that_has_a_record_by_now_is_not_removed(side: Side) -> None:
    image = an_image()
    put(side, original_key(image.id))
    (orphan,) = find(side)
    side.images.create(image, claim=False)
    report = Report()
    assert not Orphans(side.store, side.images, side.queue).remove(orphan, report)
    assert report.orphans_removed == 0
    assert side.objects() == {original_key(image.id)}


def test_bytes_after_a_finished_delete_are_orphans_that_cannot_be_adopted(side: Side) -> None:
    """A ticket's upload was killed after the delete had finished, say."""
    image = an_image(owner=ANONYMOUS)
    side.images.create(image, claim=False)
    put(side, original_key(image.id))
    side.deletion.delete(ANONYMOUS, image.id)
    side.reconciler.run(now=utcnow() + timedelta(hours=1))
    stray = put(side, original_key(image.id))
    (orphan,) = find(side)
    assert (orphan.object.key, orphan.deleted, orphan.can_be_adopted) == (stray, True, False)
    orphans, report = Orphans(side.store, side.images, side.queue), Report()
    assert not orphans.adopt(orphan, ANONYMOUS, report)
    assert orphans.remove(orphan, report)
    assert side.objects() == set()


def test_bytes_of_an_unfinished_delete_are_no_orphans(side: Side) -> None:
    image = ready(side)

    def refuse(*_: Any) -> None:
        raise Unavailable("closed")

    store: Any = Interposed(side.store, before={"delete": refuse})
    side.having(store=store).deletion.delete(ANONYMOUS, image.id)
    assert find(side) == []
    assert side.reconciler.run(now=utcnow() + timedelta(hours=1)).deletes_finished == 1
    assert side.objects() == set()


def test_an_adopted_original_becomes_a_pending_image_and_has_its_event(side: Side) -> None:
    image_id = new_id()
    put(side, original_key(image_id))
    for rendering in ("old", "older"):
        put(side, variant_key(image_id, rendering, "a.webp"))
    while lost := side.queue.receive(10):
        for message in lost:
            side.queue.delete(message.receipt)
    orphans, report = Orphans(side.store, side.images, side.queue), Report()
    found = find(side)
    assert [orphan.can_be_adopted for orphan in found] == [True, False, False]
    assert [orphans.adopt(orphan, "ann", report) for orphan in found] == [True, False, False]
    assert report.orphans_adopted == 1
    record = side.images.get(image_id)
    assert isinstance(record, Image)
    assert (record.owner, record.status, record.bytes) == ("ann", Status.PENDING, 3)
    assert sorted(record.superseded) == ["old", "older"]  # swept a day after the new ones are there
    (message,) = side.queue.receive(10)
    assert original_key(image_id) in message.body
    assert find(side) == []
    assert not orphans.adopt(found[0], "bob", report)  # it has a record by now


@pytest.mark.parametrize("image_id", ["ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-7000-8000-000000000000"])
def test_an_id_that_no_clock_has_shown_can_be_adopted(side: Side, image_id: str) -> None:
    put(side, original_key(image_id))
    (orphan,) = find(side)
    assert Orphans(side.store, side.images, side.queue).adopt(orphan, ANONYMOUS, Report())
    record = side.images.get(image_id)
    assert isinstance(record, Image)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= record.uploaded_at <= utcnow()


@pytest.mark.parametrize("key", ["originals/no-id", "processed/no-id/r/a.webp"])
def test_an_object_whose_key_names_no_image_is_an_orphan_that_cannot_be_adopted(side: Side, key: str) -> None:
    put(side, key)
    (orphan,) = find(side)
    assert (orphan.image_id, orphan.can_be_adopted) == (None, False)
    orphans, report = Orphans(side.store, side.images, side.queue), Report()
    assert not orphans.adopt(orphan, ANONYMOUS, report)
    assert orphans.remove(orphan, report)
    assert side.objects() == set()


def test_an_images_files_are_its_own_whatever_times_they_have(tmp_path: Path) -> None:
    """As after `cp -r` or a restore, when the clock was ahead at the upload."""
    with self_hosted(tmp_path) as side:
        ready(side, ahead=timedelta(days=300))
        files = [path for folder in ("originals", "processed") for path in (tmp_path / folder).rglob("*")]
        assert len([path for path in files if path.is_file()]) == 2
        for days in (-1000, 0, 1000):
            moment = time.time() + days * 86_400
            for path in files:
                os.utime(path, (moment, moment))
            assert find(side, now=utcnow()) == []
