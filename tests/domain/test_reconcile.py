"""What a crash left half-done comes to rest, and what is still in work is left alone."""

import io
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from app.adapters.filesystem import FilesystemStore
from app.domain.ids import new_id
from app.domain.keys import original_key, variant_key
from app.domain.models import ANONYMOUS, FailureCode, Image, Status, utcnow
from app.domain.reconcile import Reconciler, Report
from tests.faults.wire import Wire, refused
from tests.sides import Side

NOW = utcnow()


def put_record(side: Side, *, age: timedelta, with_bytes: bool, **fields: Any) -> Image:
    image = Image(
        id=new_id(), owner=ANONYMOUS, content_type="image/png", bytes=3, uploaded_at=NOW - age, updated_at=NOW - age,
        **fields,
    )  # fmt: skip
    side.images.create(image, claim=False)
    if with_bytes:
        side.store.put(original_key(image.id), io.BytesIO(b"abc"), size=3, content_type="image/png")
    return image


def run(side: Side, **options: Any) -> Report:
    return Reconciler(side.store, side.images, side.queue).run(now=NOW, **options)


def test_a_pending_image_gets_its_event_again(side: Side) -> None:
    image = put_record(side, age=timedelta(minutes=20), with_bytes=True)
    for lost in side.queue.receive(10):  # a bucket sends events for every put
        side.queue.delete(lost.receipt)
    assert run(side).queued_again == 1
    (message,) = side.queue.receive(10)
    assert original_key(image.id) in message.body


def test_a_young_pending_image_is_left_alone_except_at_start(side: Side) -> None:
    put_record(side, age=timedelta(minutes=1), with_bytes=True)
    assert run(side) == Report()
    assert run(side, requeue_after=timedelta(0)).queued_again == 1


def test_an_upload_that_never_came_is_removed_after_an_hour(side: Side) -> None:
    old = put_record(side, age=timedelta(minutes=61), with_bytes=False)
    young = put_record(side, age=timedelta(minutes=59), with_bytes=False)
    assert run(side).never_came == 1
    assert side.images.get(old.id) is None
    assert side.images.get(young.id) == young


def closed(side: Side) -> AbstractContextManager[Any]:
    """The store refuses to be read and to be listed."""
    store: Any = getattr(side.store, "_inner", side.store)
    if isinstance(store, FilesystemStore):
        return mock.patch.object(Path, "lstat", side_effect=PermissionError(13, "Permission denied"))
    denied = refused("AccessDenied", 403)
    refusals = {"HeadObject": refused("403", 403), "GetObject": denied, "ListObjectsV2": denied}
    return Wire(store._client).under(refusals.get)


def test_a_store_that_is_closed_to_us_is_not_taken_for_an_empty_one(side: Side) -> None:
    there = put_record(side, age=timedelta(hours=2), with_bytes=True)
    never = put_record(side, age=timedelta(hours=2), with_bytes=False)
    with closed(side):
        assert run(side) == Report(errors=2)
    assert side.images.get(there.id) == there
    assert side.images.get(never.id) == never
    assert run(side) == Report(queued_again=1, never_came=1)
    assert side.images.get(there.id) == there
    assert side.images.get(never.id) is None


def test_a_picture_past_all_deliveries_is_closed(side: Side) -> None:
    image = put_record(side, age=timedelta(hours=25), with_bytes=True)
    assert run(side).given_up == 1
    closed = side.images.get(image.id)
    assert isinstance(closed, Image)
    assert closed.status is Status.FAILED
    assert closed.error is not None
    assert closed.error.code is FailureCode.ATTEMPTS_EXHAUSTED
    assert run(side) == Report()


def test_a_queue_that_stood_still_gets_a_day_of_its_own(side: Side) -> None:
    image = put_record(side, age=timedelta(hours=50), with_bytes=True)
    reconciler = Reconciler(side.store, side.images, side.queue, delivering_since=NOW)
    for hours in (0, 23):  # at the start, and while it may still wait behind others
        report = reconciler.run(requeue_after=timedelta(0), now=NOW + timedelta(hours=hours))
        assert (report.queued_again, report.given_up) == (1, 0)
    assert reconciler.run(now=NOW + timedelta(hours=25)).given_up == 1
    closed = side.images.get(image.id)
    assert isinstance(closed, Image)
    assert closed.status is Status.FAILED


def test_old_renderings_are_swept_a_day_later(side: Side) -> None:
    image = put_record(side, age=timedelta(hours=1), with_bytes=True, status=Status.READY, rendering="new")
    image = side.images.update(image.id, image.version, {"stale_renderings": ["old"]})
    keys = {variant_key(image.id, rendering, "a.webp") for rendering in ("old", "new")}
    for key in keys:
        side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/webp")
    assert run(side) == Report()
    late = Reconciler(side.store, side.images, side.queue).run(now=utcnow() + timedelta(hours=25))
    assert late.renderings_swept == 1
    assert variant_key(image.id, "old", "a.webp") not in side.objects()
    assert variant_key(image.id, "new", "a.webp") in side.objects()
    assert list(side.images.unsettled()) == []


def test_objects_without_a_record_are_reported_and_removed_on_request(side: Side) -> None:
    kept = put_record(side, age=timedelta(hours=3), with_bytes=True, status=Status.READY)
    orphans = {original_key(new_id()), variant_key(new_id(), "r", "a.webp")}
    for key in orphans:
        side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/webp")
    reconciler = Reconciler(side.store, side.images, side.queue)
    assert list(reconciler.orphans(Report(), remove=True)) == []  # too young to be sure
    later = utcnow() + timedelta(hours=2)
    report = Report()
    assert {info.key for info in reconciler.orphans(report, now=later)} == orphans
    assert (report.orphans, report.orphans_removed) == (2, 0)
    assert orphans < side.objects()
    assert len(list(reconciler.orphans(report, remove=True, now=later))) == 2
    assert side.objects() == {original_key(kept.id)}
