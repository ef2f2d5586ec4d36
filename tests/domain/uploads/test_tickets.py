"""Tickets: refused before any byte, not listed before the bytes have come, gone when they never do."""

import io
from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import Conflict, TooLarge, TooManyRequests, UnsupportedType
from app.domain.ids import new_id
from app.domain.images.failing import mark_failed
from app.domain.images.service import Images
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.models import ANONYMOUS, FailureCode, FocalPoint, Image, Status, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.uploads.descriptions import Description
from app.domain.uploads.requests import TicketRequest
from app.domain.uploads.service import Accepted
from app.domain.uploads.tickets import Ticket, Tickets
from tests.contract.races import eventually, race
from tests.sides import Interposed, Side, once

SHA256 = "ab" * 32


class Granting:
    """A store that grants every request."""

    def grant(self, image: Image, life: timedelta) -> tuple[str, dict[str, str]]:
        return f"https://store.example/{image.id}", {"Content-Type": image.content_type}


def tickets(side: Side) -> Tickets:
    limits = Limits(max_direct_bytes=1000, accepted_types=("image/jpeg", "image/png"), max_open_tickets=20)
    return Tickets(side.images, Granting(), limits, side.store)


def ask(side: Side, owner: str = ANONYMOUS, **fields: Any) -> Ticket:
    request = TicketRequest(**({"size": 10, "content_type": "image/jpeg"} | fields))
    issued = tickets(side).issue(owner, request)
    assert isinstance(issued, Ticket)
    return issued


def listed(side: Side) -> list[Image]:
    return list(side.images.list(ListQuery(owner=ANONYMOUS, limit=10)).items)


def test_a_ticket_has_a_pending_record_that_is_in_no_list(side: Side) -> None:
    ticket = ask(side, filename="a.jpg", sha256=SHA256, description=Description("T", tags=("x",)))
    found = Images(side.images).get(ANONYMOUS, ticket.id)
    assert (found.status, found.bytes, found.sha256, found.title) == (Status.PENDING, 10, SHA256, "T")
    assert (found.filename, found.tags, found.declared_content_type) == ("a.jpg", ["x"], "image/jpeg")
    assert listed(side) == []
    assert ticket.url.endswith(ticket.id)
    assert timedelta(minutes=4) < ticket.expires_at - utcnow() <= timedelta(minutes=5)


def test_too_much_and_the_wrong_type_are_refused_before_any_byte(side: Side) -> None:
    with pytest.raises(TooLarge) as refusal:
        ask(side, size=1001)
    assert refusal.value.extra == {"limit_bytes": 1000, "declared_bytes": 1001}
    with pytest.raises(UnsupportedType):
        ask(side, content_type="image/svg+xml")
    assert side.unfinished() == []


@pytest.mark.parametrize("status", [Status.READY, Status.PENDING, Status.FAILED])
def test_only_a_ready_image_makes_a_ticket_needless(side: Side, status: Status) -> None:
    now = utcnow()
    there = Image(
        id=new_id(), owner=ANONYMOUS, content_type="image/jpeg", bytes=10, sha256=SHA256,
        uploaded_at=now, updated_at=now, status=status,
    )  # fmt: skip
    side.images.create(there, claim=True)
    issued = tickets(side).issue(ANONYMOUS, TicketRequest(size=10, content_type="image/jpeg", sha256=SHA256))
    if status is Status.READY:
        assert issued == Accepted(there, duplicate=True)
        assert isinstance(tickets(side).issue("other", TicketRequest(10, "image/jpeg", SHA256)), Ticket)
    else:
        assert isinstance(issued, Ticket)


ALIKE: dict[str, Any] = {"sha256": SHA256, "filename": "a.jpg", "declared_content_type": "image/jpg"}


CHANGED: list[dict[str, Any]] = [
    {"size": 11}, {"content_type": "image/png"}, {"declared_content_type": None}, {"filename": None},
    {"description": Description("T")}, {"description": Description(alt="A")},
    {"description": Description(tags=("x",))}, {"description": Description(metadata={"k": "v"})},
    {"description": Description(focal_point=FocalPoint(x=0, y=1))},
    {"description": Description(visibility=Visibility.PUBLIC)}, {"sha256": None}, {"sha256": "cd" * 32},
]  # fmt: skip


def test_only_the_same_request_of_the_same_owner_gets_the_open_ticket(side: Side) -> None:
    issued = {ask(side, **ALIKE).id}
    assert ask(side, **ALIKE, description=Description(visibility=Visibility.PRIVATE)).id in issued
    for changed in CHANGED:
        issued.add(ask(side, **ALIKE | changed).id)
    issued.add(ask(side, owner="other", **ALIKE).id)
    assert len(issued) == len(CHANGED) + 2


def test_without_a_hash_every_request_gets_a_ticket_of_its_own(side: Side) -> None:
    assert ask(side).id != ask(side).id


@pytest.mark.moto
def test_of_concurrent_requests_for_the_same_bytes_all_get_one_ticket(side: Side) -> None:
    issued = race(lambda _: ask(side, **ALIKE).id, racers=12)
    (image_id,) = set(issued)
    assert side.unfinished() == [image_id]


@pytest.mark.parametrize("end", ["deleted", "edited", "failed", "trashed", "removed"])
def test_a_ticket_that_has_ended_or_changed_is_not_returned_again(side: Side, end: str) -> None:
    ticket = ask(side, **ALIKE)
    image = Images(side.images).get(ANONYMOUS, ticket.id)
    if end == "deleted":
        side.deletion.delete(ANONYMOUS, ticket.id)
    elif end == "removed":
        side.images.remove(ticket.id, 1)
    else:
        failed = mark_failed(image, FailureCode.CRASHED, "It crashed.", utcnow())
        changes = {"edited": {"title": "T"}, "failed": failed, "trashed": {"trashed_at": utcnow()}}
        side.images.update(ticket.id, 1, changes[end])
    assert ask(side, **ALIKE).id != ticket.id


def test_an_image_whose_bytes_arrive_while_its_ticket_is_requested_again_is_returned(side: Side) -> None:
    ticket = ask(side, **ALIKE)

    def arrive() -> None:
        image = Images(side.images).get(ANONYMOUS, ticket.id)
        side.store.put(original_key(ticket.id), io.BytesIO(b"0123456789"), size=10, content_type="image/jpeg")
        side.images.update(ticket.id, image.version, {"arrived_at": utcnow()})

    raced = side.having(store=Interposed(side.store, after={"stat": once(arrive)}))
    raced.images.update(ticket.id, 1, {"upload_expires_at": utcnow() + timedelta(hours=1)})
    issued = tickets(raced).issue(ANONYMOUS, TicketRequest(size=10, content_type="image/jpeg", **ALIKE))
    assert isinstance(issued, Accepted)
    assert (issued.image.id, issued.image.arrived_at is not None, issued.duplicate) == (ticket.id, True, True)


@pytest.mark.parametrize("method", ["find_ticket", "find_hash"])
def test_an_image_that_becomes_ready_between_two_looks_is_returned(side: Side, method: str) -> None:
    ticket = ask(side, **ALIKE)

    def finish() -> None:
        image = Images(side.images).get(ANONYMOUS, ticket.id)
        side.images.claim(image)
        side.images.update(ticket.id, image.version, {"status": Status.READY, "upload_expires_at": None})

    raced = side.having(images=Interposed(side.images, after={method: once(finish)}))
    issued = tickets(raced).issue(ANONYMOUS, TicketRequest(size=10, content_type="image/jpeg", **ALIKE))
    assert isinstance(issued, Accepted)
    assert issued.image.id == ticket.id


def test_a_ticket_that_is_requested_again_waits_for_half_a_day_at_least(side: Side) -> None:
    ticket = ask(side, **ALIKE)
    assert ask(side, **ALIKE).id == ticket.id
    unchanged = Images(side.images).get(ANONYMOUS, ticket.id)
    assert unchanged.version == 1
    side.images.update(ticket.id, 1, {"upload_expires_at": utcnow() + timedelta(hours=1)})
    assert ask(side, **ALIKE).id == ticket.id
    renewed = Images(side.images).get(ANONYMOUS, ticket.id).upload_expires_at
    assert renewed is not None
    assert renewed > utcnow() + timedelta(hours=23)
    side.reconciler.run(now=utcnow() + timedelta(hours=2))
    assert isinstance(side.images.get(ticket.id), Image)


def test_a_ticket_never_used_vanishes_with_its_record(side: Side) -> None:
    ticket = ask(side)
    reconciler = side.reconciler
    assert reconciler.run().never_came == 0
    assert reconciler.run(now=utcnow() + timedelta(hours=23)).never_came == 0
    assert reconciler.run(now=utcnow() + timedelta(hours=24, seconds=1)).never_came == 1
    assert side.images.get(ticket.id) is None
    assert side.unfinished() == []


def test_tickets_whose_bytes_have_come_are_not_open_however_long_the_queue_is(side: Side) -> None:
    """On AWS only the queue learns that bytes have arrived."""
    for _ in range(20):
        ticket = ask(side)
        side.store.put(original_key(ticket.id), io.BytesIO(b"0123456789"), size=10, content_type="image/jpeg")
    eventually(lambda: len(side.images.open_tickets(ANONYMOUS, 20)), 20)
    for _ in range(10):
        ask(side)


def test_an_owner_whose_tickets_are_all_unused_gets_no_more(side: Side) -> None:
    issued = [ask(side) for _ in range(20)]
    eventually(lambda: len(side.images.open_tickets(ANONYMOUS, 20)), 20)
    with pytest.raises(TooManyRequests) as refusal:
        ask(side)
    assert (refusal.value.code, refusal.value.extra) == ("too_many_tickets", {"limit": 20})
    assert int(refusal.value.headers["Retry-After"]) > 0
    ask(side, owner="other")
    side.deletion.delete(ANONYMOUS, issued[0].id)
    eventually(lambda: len(side.images.open_tickets(ANONYMOUS, 20)), 19)
    ask(side)


def test_a_ticket_whose_event_was_lost_gets_another(side: Side) -> None:
    ticket = ask(side)
    side.store.put(original_key(ticket.id), io.BytesIO(b"0123456789"), size=10, content_type="image/jpeg")
    report = side.reconciler.run(requeue_after=timedelta(0))
    assert report.queued_again == 1


@pytest.mark.parametrize("code", FailureCode)
def test_unchecked_bytes_are_never_served(side: Side, code: FailureCode) -> None:
    ticket = ask(side)
    images = Images(side.images)
    with pytest.raises(Conflict, match="not arrived yet"):
        images.original(ANONYMOUS, ticket.id)
    image = images.get(ANONYMOUS, ticket.id)
    image = side.images.update(ticket.id, 1, mark_failed(image, code, "It is a page.", utcnow()))
    assert [image.id for image in listed(side)] == [ticket.id]
    with pytest.raises(Conflict) as refusal:
        images.original(ANONYMOUS, ticket.id)
    assert refusal.value.code == "not_served"
    found = side.images.update(ticket.id, image.version, {"content_type": "image/png"})
    if code not in {FailureCode.NOT_AN_IMAGE, FailureCode.UNSUPPORTED_IMAGE}:  # the worker has looked
        assert images.original(ANONYMOUS, ticket.id) == found


@pytest.mark.parametrize("code", FailureCode)
def test_checked_bytes_keep_their_type(side: Side, code: FailureCode) -> None:
    ticket = ask(side)
    checked = Images(side.images).get(ANONYMOUS, ticket.id).model_copy(update={"upload_expires_at": None})
    assert "content_type" not in mark_failed(checked, code, "It would not do.", utcnow())
