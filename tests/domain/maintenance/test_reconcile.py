"""Reconcile repairs what a crash left half-done, and leaves alone what is still in work."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from app.adapters.filesystem import FilesystemStore
from app.adapters.sqlite import SqliteImages
from app.domain.errors import Unavailable
from app.domain.ids import first_id_at, new_id
from app.domain.keys import original_key, variant_key
from app.domain.maintenance.report import Report
from app.domain.models import ANONYMOUS, FailureCode, Image, Status, utcnow
from app.domain.uploads.tickets import RECORD_LIFE
from app.domain.work import RENDERING_LIFE, Task, Work
from tests.contract.races import eventually
from tests.faults.wire import Wire, refused
from tests.sides import Interposed, Side

NOW = utcnow()
SWEEP = {Task.SWEEP: Work.add(NOW, RENDERING_LIFE)}


def put_record(side: Side, *, age: timedelta, with_bytes: bool, **fields: Any) -> Image:
    made = first_id_at(NOW - age)[:24] + new_id()[24:]
    image = Image(
        id=made, owner=ANONYMOUS, content_type="image/png", bytes=3, uploaded_at=NOW - age, updated_at=NOW - age,
        **fields,
    )  # fmt: skip
    side.images.create(image, claim=False)
    if with_bytes:
        side.store.put(original_key(image.id), io.BytesIO(b"abc"), size=3, content_type="image/png")
    return image


def drain(side: Side) -> None:
    """Lose the events: a bucket sends one for every put."""
    while lost := side.queue.receive(10):
        for message in lost:
            side.queue.delete(message.receipt)


def is_pending(side: Side, image: Image) -> bool:
    """Return True if only the event of the image was sent again."""
    found = side.images.get(image.id)
    assert isinstance(found, Image)
    same = {name: getattr(image, name) for name in ("version", "updated_at", "work")}
    return found.model_copy(update=same) == image


def run(side: Side, **options: Any) -> Report:
    return side.reconciler.run(now=NOW, **options)


def test_a_pending_image_gets_its_event_again(side: Side) -> None:
    image = put_record(side, age=timedelta(minutes=20), with_bytes=True)
    drain(side)
    assert run(side).queued_again == 1
    (message,) = side.queue.receive(10)
    assert original_key(image.id) in message.body


def test_a_young_pending_image_is_left_alone_except_at_start(side: Side) -> None:
    put_record(side, age=timedelta(minutes=1), with_bytes=True)
    side.queue.send("of another image")
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
    drain(side)
    assert run(side) == Report(queued_again=1, never_came=1)
    assert is_pending(side, there)
    assert side.images.get(never.id) is None


def test_a_picture_whose_last_delivery_was_cut_off_is_closed_an_hour_later(side: Side) -> None:
    image = put_record(side, age=timedelta(hours=3), with_bytes=True, last_tried_at=NOW - timedelta(minutes=61))
    at_work = put_record(side, age=timedelta(hours=3), with_bytes=True, last_tried_at=NOW - timedelta(minutes=59))
    drain(side)
    assert run(side) == Report(given_up=1)
    closed = side.images.get(image.id)
    assert isinstance(closed, Image)
    assert closed.status is Status.FAILED
    assert closed.error is not None
    assert closed.error.code is FailureCode.ATTEMPTS_EXHAUSTED
    assert side.images.get(at_work.id) == at_work


def test_a_start_neither_sends_again_nor_closes_what_was_cut_off(side: Side) -> None:
    """It may be what ends every worker; and it may have other events, which are tried before it is closed."""
    image = put_record(side, age=timedelta(hours=3), with_bytes=True, last_tried_at=NOW - timedelta(hours=2))
    drain(side)
    assert run(side, requeue_after=timedelta(0)) == Report()
    assert side.images.get(image.id) == image
    assert run(side) == Report(given_up=1)


def test_a_clock_set_back_holds_up_no_lost_event(side: Side) -> None:
    """The image's times are a month ahead: it was uploaded before the clock was corrected."""
    put_record(side, age=timedelta(days=-30), with_bytes=True)
    drain(side)
    assert run(side) == Report(queued_again=1)
    assert run(side, requeue_after=timedelta(0)) == Report(queued_again=1)


def test_a_clock_set_back_keeps_no_record_without_bytes_for_ever(side: Side) -> None:
    """And removes none before it has waited as long as any other: its upload may be running."""
    month = timedelta(days=-30)
    upload = put_record(side, age=month, with_bytes=False)
    ticket = put_record(side, age=month, with_bytes=False, upload_expires_at=NOW - month + RECORD_LIFE)
    assert run(side) == Report()
    assert {upload.id, ticket.id} == set(side.unfinished())
    assert side.reconciler.run(now=utcnow() + timedelta(minutes=50)) == Report()
    later = side.reconciler.run(now=utcnow() + RECORD_LIFE + timedelta(hours=1))
    assert later == Report(never_came=2)


def test_a_clock_set_back_keeps_no_cut_off_image_pending_for_ever(side: Side) -> None:
    image = put_record(side, age=timedelta(hours=3), with_bytes=True, last_tried_at=NOW + timedelta(days=30))
    drain(side)
    assert run(side) == Report()
    later = side.reconciler.run(now=NOW + timedelta(minutes=61))
    assert later == Report(given_up=1)
    found = side.images.get(image.id)
    assert isinstance(found, Image)
    assert found.status is Status.FAILED


def test_a_clock_set_back_keeps_no_old_rendering_for_ever(side: Side) -> None:
    month = timedelta(days=30)
    ahead = {"status": Status.READY, "rendering_id": "new", "superseded": {"old": NOW + month + RENDERING_LIFE}}
    image = put_record(side, age=-month, with_bytes=True, **ahead)
    key = variant_key(image.id, "old", "a.webp")
    side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/webp")
    run(side)  # it waits from now on
    assert key in side.objects()
    later = side.reconciler.run(now=utcnow() + timedelta(hours=25))
    assert later == Report(renderings_swept=1)
    assert key not in side.objects()


def test_images_that_were_never_tried_are_never_given_up(side: Side) -> None:
    image = put_record(side, age=timedelta(days=3), with_bytes=True)
    drain(side)
    for days in range(3):
        report = side.reconciler.run(now=NOW + timedelta(days=days))
        assert report == Report(queued_again=1)
        drain(side)
    assert is_pending(side, image)


def test_a_backlog_is_not_multiplied(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.domain.maintenance.reconcile.SENT_ANYWAY", 1)
    for _ in range(5):
        put_record(side, age=timedelta(hours=30), with_bytes=True)
    drain(side)
    for _ in range(3):
        side.queue.send("of one of them")
    assert run(side) == Report(waiting=3, queued_again=2)  # two were lost, whichever they were
    hour = timedelta(hours=1)
    assert side.reconciler.run(now=NOW + hour / 2) == Report(waiting=2, queued_again=1)  # two are tried at the moment
    assert side.reconciler.run(now=NOW + 3 * hour) == Report(waiting=4, queued_again=1)


def test_lost_events_do_not_wait_for_an_empty_queue(side: Side) -> None:
    lost = put_record(side, age=timedelta(minutes=20), with_bytes=True)
    drain(side)
    for _ in range(3):
        side.queue.send("of an image that came just now")
    assert run(side) == Report(queued_again=1)
    assert any(original_key(lost.id) in message.body for message in side.queue.receive(10))


def test_a_ticket_whose_bytes_have_come_never_expires(side: Side) -> None:
    """However long its event is lost, or waits in a backlog."""
    image = put_record(side, age=timedelta(days=40), with_bytes=True, upload_expires_at=NOW - timedelta(days=39))
    drain(side)
    assert run(side) == Report(queued_again=1)
    (message,) = side.queue.receive(10)
    assert original_key(image.id) in message.body
    assert side.objects() == {original_key(image.id)}
    found = side.images.get(image.id)
    assert isinstance(found, Image)
    assert found.arrived_at is not None
    eventually(lambda: len(side.images.open_tickets(ANONYMOUS, 10)), 0)


def test_a_ticket_waits_for_its_bytes_far_longer_than_any_upload_takes(side: Side) -> None:
    issued = NOW - timedelta(hours=23)
    ticket = put_record(side, age=timedelta(hours=23), with_bytes=False, upload_expires_at=issued + RECORD_LIFE)
    assert run(side) == Report()
    assert side.images.get(ticket.id) == ticket
    later = side.reconciler.run(now=issued + RECORD_LIFE + timedelta(seconds=1))
    assert later == Report(never_came=1)


@pytest.mark.parametrize("kind", ["ticket", "upload"])
def test_bytes_that_come_while_their_record_is_removed_have_it_back(side: Side, kind: str) -> None:
    """Reconcile has looked for them, and found none."""
    ended = {"upload_expires_at": NOW - timedelta(seconds=1)} if kind == "ticket" else {}
    image = put_record(side, age=timedelta(hours=25), with_bytes=False, sha256="ab" * 32, **ended)

    def arrive(*_: Any) -> None:
        side.store.create(original_key(image.id), io.BytesIO(b"abc"), size=3, content_type="image/png")

    images = Interposed(side.images, before={"remove_all": arrive})
    assert side.having(images=images).reconciler.run(now=NOW) == Report()
    found = side.images.get(image.id)
    assert isinstance(found, Image)
    assert (found.owner, found.status, found.upload_expires_at) == (
        image.owner,
        Status.PENDING,
        image.upload_expires_at,
    )
    assert found.version > image.version
    eventually(lambda: set(side.unfinished()), {image.id})
    drain(side)
    assert side.reconciler.run(now=NOW + timedelta(hours=2)) == Report(queued_again=1)


def test_a_flood_of_unused_tickets_is_removed_in_batches(side: Side) -> None:
    tickets = 230 if isinstance(side.images, SqliteImages) else 110
    for _ in range(tickets):
        put_record(side, age=timedelta(hours=25), with_bytes=False, upload_expires_at=NOW - timedelta(hours=1))
    batches: list[int] = []
    images = Interposed(side.images, before={"remove_all": lambda batch: batches.append(len(batch))})
    assert side.having(images=images).reconciler.run(now=NOW) == Report(never_came=tickets)
    assert sum(batches) == tickets
    assert len(batches) == -(-tickets // 100)
    eventually(side.unfinished, [])


def test_a_batch_that_is_refused_is_removed_by_the_next_run(side: Side) -> None:
    ticket = put_record(side, age=timedelta(hours=25), with_bytes=False, upload_expires_at=NOW - timedelta(hours=1))

    def refuse(_: Any) -> None:
        raise Unavailable("busy")

    images = Interposed(side.images, before={"remove_all": refuse})
    assert side.having(images=images).reconciler.run(now=NOW).errors == 1
    assert side.images.get(ticket.id) == ticket
    assert run(side) == Report(never_came=1)


def test_an_index_entry_that_leads_nowhere_costs_no_bytes(side: Side) -> None:
    """The index may lag, and a record may be gone: bytes are deleted for a tombstone alone."""
    unknown = new_id()
    side.store.put(original_key(unknown), io.BytesIO(b"abc"), size=3, content_type="image/png")

    class Lagging(Interposed):
        def due(self, _: datetime) -> Iterator[str]:
            yield unknown

    assert side.having(images=Lagging(side.images)).reconciler.run(now=NOW) == Report()
    assert side.objects() == {original_key(unknown)}


def test_a_run_for_which_time_is_short_says_what_is_left(side: Side) -> None:
    for _ in range(5):
        put_record(side, age=timedelta(hours=2), with_bytes=False)
    looks = iter([True, True, False])
    assert run(side, is_time_left=lambda: next(looks)) == Report(never_came=2, left=3)
    assert run(side, is_time_left=lambda: True) == Report(never_came=3)


def test_runs_that_are_each_too_short_meet_all_in_the_end(side: Side) -> None:
    """Those that stay due, such as what waits in a backlog, do not stand before the others for ever."""
    for hours in (1, 2, 3, 5, 8, 20, 21, 22, 30, 40):
        put_record(side, age=timedelta(hours=hours), with_bytes=True)
        side.queue.send("a backlog")
    never = put_record(side, age=timedelta(hours=9), with_bytes=False)
    runs = 0
    while side.images.get(never.id) is not None:
        runs += 1
        assert runs < 300
        looks = iter([True, True, False])
        run(side, is_time_left=lambda looks=looks: next(looks))  # type: ignore[misc] # of this run


def test_old_renderings_are_swept_a_day_later(side: Side) -> None:
    image = put_record(side, age=timedelta(hours=1), with_bytes=True, status=Status.READY, rendering_id="new")
    image = side.images.update(
        image.id, image.version, {"superseded": {"old": utcnow() + RENDERING_LIFE}, "work": SWEEP}
    )
    keys = {variant_key(image.id, rendering, "a.webp") for rendering in ("old", "new")}
    for key in keys:
        side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/webp")
    assert run(side) == Report()
    late = side.reconciler.run(now=utcnow() + timedelta(hours=25))
    assert late.renderings_swept == 1
    assert variant_key(image.id, "old", "a.webp") not in side.objects()
    assert variant_key(image.id, "new", "a.webp") in side.objects()
    assert side.unfinished() == []
