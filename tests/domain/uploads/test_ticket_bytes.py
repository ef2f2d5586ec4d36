"""The bytes of upload tickets: with any event during their upload, none are lost that were acknowledged, and none are
left of a refused one."""

import contextlib
import io
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest

from app.domain.errors import Gone, PreconditionFailed, RequestError, Unavailable
from app.domain.images.failing import mark_failed
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, FailureCode, Image, Status, Tombstone, utcnow
from app.domain.uploads.service import Uploads
from app.domain.uploads.tickets import RECORD_LIFE
from tests.contract.races import eventually
from tests.contract.records import an_image
from tests.sides import Interposed, Side, once

BODY = b"0123456789"


def ticket(side: Side, **fields: Any) -> Image:
    """The record of a ticket."""
    issued = an_image(owner=ANONYMOUS, bytes=len(BODY), upload_expires_at=utcnow() + RECORD_LIFE, **fields)
    side.images.create(issued, claim=False)
    return issued


def send(side: Side, image: Image, *, store: Any = None, images: Any = None) -> None:
    """Store the ticket's bytes, as the server does when all of them have come."""
    uploads = Uploads(store or side.store, images or side.images)
    uploads.store_ticket(image.id, io.BytesIO(BODY), size=len(BODY), content_type="image/jpeg")


def delete(side: Side, image: Image) -> None:
    side.deletion.delete(ANONYMOUS, image.id)


def expire(side: Side, _: Image) -> None:
    """Reconcile, a day and more later."""
    side.reconciler.run(now=utcnow() + RECORD_LIFE + timedelta(hours=1))


def finish(side: Side) -> None:
    """Finish what a delete has left."""
    side.reconciler.run()


def assert_kept(side: Side, image: Image) -> None:
    """The bytes are there, their record too, and the record is no longer an open ticket."""
    found = side.images.get(image.id)
    assert isinstance(found, Image)
    assert found.owner == image.owner
    with side.store.open(original_key(image.id)) as stream:
        assert stream.read() == BODY
    eventually(lambda: len(side.images.open_tickets(ANONYMOUS, 10)), 0)


def assert_gone(side: Side, image: Image) -> None:
    """Neither bytes nor a record."""
    finish(side)
    assert side.objects() == set()
    assert not isinstance(side.images.get(image.id), Image)


def test_the_bytes_of_an_open_ticket_are_stored_and_its_event_follows(side: Side) -> None:
    image = ticket(side)
    Uploads(side.store, side.images).check_ticket(image.id)
    send(side, image)
    assert_kept(side, image)
    assert image.id in "".join(message.body for message in side.queue.receive(10))


End = Callable[[Side, Image], None]


@pytest.mark.parametrize("end", [delete, expire])
def test_a_ticket_that_has_ended_is_refused_before_any_byte(side: Side, end: End) -> None:
    image = ticket(side)
    end(side, image)
    with pytest.raises(Gone) as refusal:
        Uploads(side.store, side.images).check_ticket(image.id)
    assert refusal.value.code == "ticket_gone"
    with pytest.raises(Gone):
        send(side, image)
    assert_gone(side, image)


@pytest.mark.parametrize("end", [delete, expire])
@pytest.mark.parametrize("moment", ["before the bytes are stored", "after they are stored"])
def test_a_ticket_that_ends_while_its_bytes_are_stored_leaves_nothing(side: Side, end: End, moment: str) -> None:
    """Or all of it: reconcile removes no record whose bytes it finds."""
    image = ticket(side)
    hooks = {"before" if moment.startswith("before") else "after": {"create": once(lambda: end(side, image))}}
    if end is expire and moment.startswith("after"):
        send(side, image, store=Interposed(side.store, **hooks))  # type: ignore[arg-type] # hooks by name
        assert_kept(side, image)
        return
    with pytest.raises(Gone):
        send(side, image, store=Interposed(side.store, **hooks))  # type: ignore[arg-type] # hooks by name
    assert_gone(side, image)


@pytest.mark.parametrize("moment", ["find", "remove_all"])
def test_bytes_that_come_while_reconcile_gives_the_ticket_up_are_kept_or_refused(side: Side, moment: str) -> None:
    """Reconcile has looked for the bytes and found none; then all of them are stored and acknowledged."""
    image = ticket(side)
    outcome: list[RequestError | None] = []

    def arrive() -> None:
        try:
            send(side, image)
        except RequestError as error:
            outcome.append(error)
        else:
            outcome.append(None)

    store: Any = Interposed(side.store, after={"find": once(arrive)}) if moment == "find" else side.store
    images: Any = Interposed(side.images, after={"remove_all": once(arrive)}) if moment != "find" else side.images
    later = utcnow() + RECORD_LIFE + timedelta(hours=1)
    side.having(store=store, images=images).reconciler.run(now=later)
    (error,) = outcome
    if error is None:
        assert_kept(side, image)
    else:
        assert_gone(side, image)


def test_the_worker_may_be_quicker_than_the_upload_that_it_works_for(side: Side) -> None:
    image = ticket(side)

    def process() -> None:
        found = side.images.get(image.id)
        assert isinstance(found, Image)
        side.images.update(image.id, found.version, {"status": Status.READY, "upload_expires_at": None})

    send(side, image, store=Interposed(side.store, after={"create": once(process)}))
    found = side.images.get(image.id)
    assert isinstance(found, Image)
    assert (found.status, found.version) == (Status.READY, 2)


def test_a_record_that_changes_between_look_and_write_is_looked_at_again(side: Side) -> None:
    image = ticket(side)

    def edit() -> None:
        found = side.images.get(image.id)
        assert isinstance(found, Image)
        side.images.update(image.id, found.version, {"title": "T"})

    looks: list[str] = []

    def after_the_second_look(*_: Any) -> None:
        looks.append("")
        if len(looks) == 2:
            edit()

    send(side, image, images=Interposed(side.images, after={"get": after_the_second_look}))
    assert_kept(side, image)
    found = side.images.get(image.id)
    assert isinstance(found, Image)
    assert found.title == "T"


def test_a_used_ticket_is_refused_as_used_whatever_has_become_of_its_image(side: Side) -> None:
    image = ticket(side)
    send(side, image)
    for changes in ({}, {"status": Status.READY, "upload_expires_at": None}, {"status": Status.FAILED}):
        found = side.images.get(image.id)
        assert isinstance(found, Image)
        side.images.update(image.id, found.version, changes)
        for call in (Uploads(side.store, side.images).check_ticket, lambda _: send(side, image)):
            with pytest.raises(PreconditionFailed) as refusal:
                call(image.id)
            assert refusal.value.code == "already_there"
    delete(side, image)
    with pytest.raises(Gone):
        send(side, image)
    assert_gone(side, image)


def test_a_ticket_whose_image_was_given_up_without_bytes_is_refused(side: Side) -> None:
    image = ticket(side)
    side.images.update(image.id, 1, mark_failed(image, FailureCode.ATTEMPTS_EXHAUSTED, "No bytes.", utcnow()))
    with pytest.raises(Gone):
        send(side, image)
    assert side.objects() == set()


def test_a_delete_that_was_finished_before_the_bytes_came_stays_finished(side: Side) -> None:
    image = ticket(side)

    def delete_and_finish() -> None:
        delete(side, image)
        finish(side)

    with pytest.raises(Gone):
        send(side, image, store=Interposed(side.store, before={"create": once(delete_and_finish)}))
    assert isinstance(side.images.get(image.id), Tombstone)
    assert side.objects() == set()


def test_a_refused_store_leaves_the_ticket_open(side: Side) -> None:
    image = ticket(side)

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        send(side, image, store=Interposed(side.store, before={"create": refuse}))
    assert side.objects() == set()
    send(side, image)
    assert_kept(side, image)


@pytest.mark.slow
def test_bytes_of_a_ticket_that_is_written_again_stay(side: Side) -> None:
    """The upload finds the record removed, then reconcile finds the bytes: only one of both may act on it."""
    image = ticket(side)
    checked, removed, arrived, finished = Event(), Event(), Event(), Event()

    def let_them_arrive(*_: Any) -> None:
        removed.set()
        assert arrived.wait(60)

    def wait_for_removal(*_: Any, **__: Any) -> None:
        checked.set()
        assert removed.wait(60)

    def wait_for_reconcile(*_: Any) -> None:
        arrived.set()
        assert finished.wait(60)

    def upload() -> None:
        hooks: Any = {"create": wait_for_removal, "delete": wait_for_reconcile}
        with contextlib.suppress(Gone):
            send(side, image, store=Interposed(side.store, before=hooks))

    sending = Thread(target=upload)
    sending.start()
    assert checked.wait(60)
    images: Any = Interposed(side.images, after={"remove_all": let_them_arrive})
    side.having(images=images).reconciler.run(now=utcnow() + RECORD_LIFE + timedelta(hours=1))
    finished.set()
    sending.join()
    has_bytes = side.store.find(original_key(image.id)) is not None
    assert isinstance(side.images.get(image.id), Image) is has_bytes
