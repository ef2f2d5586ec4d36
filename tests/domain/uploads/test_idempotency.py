"""Requests with idempotency keys: one image for each key, also if a process ends, a backend fails or requests race."""

import hashlib
import io
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.errors import Conflict, Gone, Invalid, TooManyRequests, Unavailable
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.models import ANONYMOUS, FocalPoint, Image, Status, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.uploads import idempotency
from app.domain.uploads.descriptions import Description
from app.domain.uploads.grants import ServedGrants
from app.domain.uploads.idempotency import (
    KEY_LIFE,
    LEASE,
    Effect,
    Idempotency,
    KeyedRequest,
    Operation,
    fingerprint,
)
from app.domain.uploads.requests import TicketRequest, Upload
from app.domain.uploads.service import Accepted, Uploads
from app.domain.uploads.tickets import Ticket, Tickets
from tests.contract.races import eventually, race, winners
from tests.sides import SIGNER, Interposed, Side, once
from tests.tiers import smoke
from tests.visibility.steps import ActAt, Crash, CrashAt, Step, Stepped, Turns

BYTES = b"\xff\xd8\xff picture " * 100
Now = Callable[[timedelta], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Now:
    """Move the clock of idempotency keys by a time."""

    def move(by: timedelta) -> None:
        monkeypatch.setattr(idempotency, "utcnow", lambda: utcnow() + by)

    return move


def refuse(*_: object, **__: object) -> None:
    raise Unavailable("the disk is full")


def upload(body: bytes = BYTES, **fields: Any) -> Upload:
    digest = hashlib.sha256(body).hexdigest()
    return Upload(body=io.BytesIO(body), size=len(body), sha256=digest, content_type="image/jpeg", **fields)


def send(
    side: Side,
    key: str = "k",
    request: Upload | None = None,
    *,
    copy: bool = False,
    step: Step | None = None,
    owner: str = ANONYMOUS,
) -> tuple[Accepted, bool]:
    """Upload with a key, on ports behind a step if one is given."""
    wanted = request or upload()
    store, images, keys = side.store, side.images, side.idempotency_keys
    if step:
        store, images, keys = (Stepped(port, step) for port in (store, images, keys))  # type: ignore[assignment] # they forward every method
    uploads = Uploads(store, images)
    return Idempotency(keys, images).run(
        KeyedRequest(owner, key, Operation.UPLOAD, fingerprint(wanted, copy=str(copy))),
        lambda attempt: uploads.accept(owner, wanted, keep_duplicate=copy, attempt=attempt),
        lambda accepted: Effect(accepted.image.id, accepted.duplicate),
        Accepted,
    )


def everything(side: Side) -> list[Image]:
    return list(side.images.list(ListQuery(owner=ANONYMOUS, limit=200)).items)


def assert_stored(side: Side, *images: Image) -> None:
    """Exactly these images exist, each with its bytes."""
    side.reconciler.run()
    assert {image.id for image in everything(side)} == {image.id for image in images}
    assert side.objects() == {original_key(image.id) for image in images}
    for image in images:
        with side.store.open(original_key(image.id)) as stream:
            assert stream.read() == BYTES


@pytest.mark.moto
def test_a_repetition_shows_the_record_as_it_is_now(side: Side) -> None:
    first, replayed = send(side)
    assert not replayed
    side.images.update(first.image.id, 1, {"title": "T"})
    again, replayed = send(side)
    assert (again.image.id, again.image.title, again.duplicate, replayed) == (first.image.id, "T", False, True)
    assert_stored(side, again.image)


def test_a_repetition_of_a_duplicate_is_a_duplicate(side: Side) -> None:
    image = Uploads(side.store, side.images).accept(ANONYMOUS, upload()).image
    for repeated in (False, True):
        accepted, replayed = send(side)
        assert (accepted.image.id, accepted.duplicate, replayed) == (image.id, True, repeated)
    assert_stored(side, image)


def test_a_repetition_makes_no_second_copy(side: Side) -> None:
    first = Uploads(side.store, side.images).accept(ANONYMOUS, upload()).image
    copies = [send(side, copy=True)[0].image for _ in range(3)]
    assert len({image.id for image in copies} - {first.id}) == 1
    assert_stored(side, first, copies[0])
    other = send(side, "other", copy=True)[0].image
    assert_stored(side, first, copies[0], other)


def test_a_repetition_shows_an_image_that_is_in_the_trash(side: Side) -> None:
    image = send(side)[0].image
    side.images.update(image.id, 1, {"trashed_at": utcnow()})
    again, replayed = send(side)
    assert (again.image.id, again.image.trashed_at is not None, replayed) == (image.id, True, True)


def test_keys_of_owners_do_not_meet(side: Side) -> None:
    mine, theirs = send(side)[0], send(side, owner="other", request=upload(b"\xff\xd8\xff other"))[0]
    assert (mine.image.owner, theirs.image.owner) == (ANONYMOUS, "other")


OTHERS = [
    upload(b"\xff\xd8\xff other"), upload(filename="a.jpg"), upload(declared_content_type="image/jpeg"),
    *(upload(description=Description(**fields)) for fields in (
        {"title": "T"}, {"alt": "A"}, {"tags": ("a",)}, {"metadata": {"a": "b"}},
        {"visibility": Visibility.PRIVATE}, {"focal_point": FocalPoint(x=0, y=0)},
    )),
]  # fmt: skip


def test_a_key_is_refused_for_another_request(side: Side) -> None:
    image = send(side)[0].image
    for other in OTHERS:
        with pytest.raises(Invalid) as refusal:
            send(side, request=other)
        assert refusal.value.code == "idempotency_key_reused"
    with pytest.raises(Invalid):
        send(side, copy=True)
    assert_stored(side, image)


def test_a_request_in_progress_is_not_started_again(side: Side, later: Now) -> None:
    refusals = []

    def repeat() -> None:
        with pytest.raises(Conflict) as refusal:
            send(side)
        refusals.append(refusal.value)

    raced = side.having(store=Interposed(side.store, before={"create": once(repeat)}))
    image = send(raced)[0].image
    (refusal,) = refusals
    assert (refusal.code, int(refusal.headers["Retry-After"]) > 0) == ("request_in_progress", True)
    assert_stored(side, image)


@pytest.mark.parametrize("clock", [LEASE, KEY_LIFE - timedelta(minutes=1)])
def test_a_deleted_image_is_not_uploaded_again_by_its_key(side: Side, later: Now, clock: timedelta) -> None:
    image = send(side)[0].image
    side.deletion.delete(ANONYMOUS, image.id)
    later(clock)
    with pytest.raises(Gone) as refusal:
        send(side)
    assert (refusal.value.code, "new key" in refusal.value.detail) == ("idempotent_image_deleted", True)
    assert_stored(side, send(side, "other")[0].image)


def test_an_image_that_was_deleted_before_its_request_was_finished_stays_deleted(side: Side, later: Now) -> None:
    with pytest.raises(Crash):
        send(side, step=CrashAt(3))  # after the bytes
    (image,) = everything(side)
    side.deletion.delete(ANONYMOUS, image.id)
    later(LEASE + timedelta(seconds=1))
    for _ in range(2):
        with pytest.raises(Gone):
            send(side)
    assert_stored(side)


def test_a_key_is_forgotten_after_a_day(side: Side, later: Now) -> None:
    image = send(side)[0].image
    side.deletion.delete(ANONYMOUS, image.id)
    entry = side.idempotency_keys.create(_entry_of(side))
    assert entry is not None
    assert utcnow() + timedelta(hours=23) < entry.expires_at <= utcnow() + KEY_LIFE
    side.idempotency_keys.replace(entry, entry.model_copy(update={"expires_at": utcnow() - timedelta(seconds=1)}))
    assert_stored(side, send(side)[0].image)


def _entry_of(side: Side, **fields: Any) -> idempotency.KeyEntry:
    now = utcnow()
    usual = {
        "owner": ANONYMOUS, "key": "k", "operation": Operation.UPLOAD,
        "fingerprint": fingerprint(upload(), copy="False"), "image_id": "x", "attempt": "x",
        "leased_until": now + LEASE, "expires_at": now + KEY_LIFE,
    }  # fmt: skip
    return idempotency.KeyEntry.model_validate(usual | fields)


def test_a_lease_from_before_the_clock_was_set_back_has_ended(side: Side) -> None:
    side.idempotency_keys.create(_entry_of(side, leased_until=utcnow() + timedelta(hours=1)))
    assert send(side)[0].image.id == "x"


def test_a_refused_store_frees_the_key(side: Side) -> None:
    failing = side.having(store=Interposed(side.store, before={"create": refuse}))
    for _ in range(2):
        with pytest.raises(Unavailable):
            send(failing)
    assert (everything(side), side.objects()) == ([], set())
    other = upload(b"\xff\xd8\xff other")
    image = send(side, request=other)[0].image
    assert [found.id for found in everything(side)] == [image.id]


def test_a_record_that_could_not_be_withdrawn_gets_its_bytes_by_the_next_attempt(side: Side) -> None:
    store = Interposed(side.store, before={"create": refuse})
    failing = side.having(store=store, images=Interposed(side.images, before={"remove": refuse}))
    with pytest.raises(Unavailable):
        send(failing)
    (left,) = everything(side)
    accepted, replayed = send(side)
    assert (accepted.image.id, accepted.duplicate, replayed) == (left.id, False, False)
    assert_stored(side, accepted.image)


def existing(side: Side, *, copy: bool) -> list[Image]:
    """Upload the same bytes before, without a key, if the request makes a copy."""
    return [Uploads(side.store, side.images).accept(ANONYMOUS, upload()).image] if copy else []


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("number", smoke([3, *range(3), *range(4, 14)]))
def test_a_request_that_ends_anywhere_is_finished_by_its_repetition(
    side: Side, later: Now, number: int, copy: bool
) -> None:
    before = existing(side, copy=copy)
    crash = CrashAt(number)
    try:
        send(side, copy=copy, step=crash)
    except Crash:
        assert crash.happened
        if number:
            with pytest.raises(Conflict):
                send(side, copy=copy)
    later(LEASE + timedelta(seconds=1))
    image = send(side, copy=copy)[0].image
    later(2 * LEASE)
    again, replayed = send(side, copy=copy)
    assert (again.image.id, replayed) == (image.id, True)
    assert_stored(side, *before, image)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("number", smoke([3, 1, 2, *range(4, 12)]))
def test_a_repetition_beside_a_slow_request_makes_the_same_image(
    side: Side, later: Now, number: int, fails: bool, copy: bool
) -> None:
    """The repetition runs whole at one step of the first request, whose store may then fail."""
    before = existing(side, copy=copy)
    made: list[Image] = []

    def repeat() -> None:
        later(LEASE + timedelta(seconds=1))
        made.append(send(side, copy=copy)[0].image)

    slow = ActAt(number, repeat)
    store: Any = side.store
    if fails:
        store = Interposed(side.store, before={"create": once(refuse)})
    try:
        made.append(send(side.having(store=store), copy=copy, step=slow)[0].image)
    except (Unavailable, Conflict):
        assert fails
    later(2 * LEASE)
    image = send(side, copy=copy)[0].image
    assert {each.id for each in made} <= {image.id}
    assert_stored(side, *before, image)


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("seed", smoke(range(40)))
@pytest.mark.sampled(20)
def test_attempts_in_any_order_make_one_image(side: Side, later: Now, seed: int, copy: bool) -> None:
    """Three attempts, none of which respects the lease of another, take their steps in turns. Some stores fail."""
    before = existing(side, copy=copy)
    moments = iter(range(1, 4))
    chosen = random.Random(seed)

    def attempt(step: Step) -> None:
        later(next(moments) * (LEASE + timedelta(seconds=1)))
        own = side.having(store=Interposed(side.store, before={"create": once(refuse)})) if fails.pop() else side
        made.append(send(own, copy=copy, step=step)[0].image.id)

    made: list[str] = []
    fails = [chosen.random() < 0.3 for _ in range(3)]
    raised = Turns(chosen.choice).run([attempt] * 3)
    assert all(error is None or isinstance(error, Conflict | Unavailable) for error in raised)
    later(4 * (LEASE + timedelta(seconds=1)))
    image = send(side, copy=copy)[0].image
    assert set(made) <= {image.id}
    assert_stored(side, *before, image)


@pytest.mark.moto
def test_concurrent_requests_with_one_key_make_one_image(side: Side) -> None:
    def attempt(_: int) -> str:
        try:
            return send(side)[0].image.id
        except Conflict:
            return ""

    results = race(attempt)
    assert winners(results) == list(range(len(results)))
    (image_id,) = {str(result) for result in results} - {""}
    (image,) = everything(side)
    assert image.id == image_id
    assert_stored(side, image)


# Tickets

LIMITS = Limits(max_direct_bytes=1000, accepted_types=("image/jpeg",), max_open_tickets=2)


def ask(side: Side, key: str = "t", step: Step | None = None, **fields: Any) -> tuple[Ticket | Accepted, bool]:
    """Request a ticket with a key."""
    wanted = TicketRequest(**({"size": 10, "content_type": "image/jpeg"} | fields))
    store, images, keys = side.store, side.images, side.idempotency_keys
    if step:
        store, images, keys = (Stepped(port, step) for port in (store, images, keys))  # type: ignore[assignment] # they forward every method
    tickets = Tickets(images, ServedGrants(SIGNER), LIMITS, store)
    return Idempotency(keys, images).run(
        KeyedRequest(ANONYMOUS, key, Operation.TICKET, fingerprint(wanted)),
        lambda attempt: tickets.issue(ANONYMOUS, wanted, attempt),
        lambda issued: (
            Effect(issued.image.id, duplicate=True)
            if isinstance(issued, Accepted)
            else Effect(issued.id, duplicate=False)
        ),
        lambda image, _: tickets.renew(image),
    )


def ticket_of(issued: tuple[Ticket | Accepted, bool]) -> Ticket:
    assert isinstance(issued[0], Ticket)
    return issued[0]


@pytest.mark.parametrize("sha256", [None, "ab" * 32])
def test_a_repeated_ticket_request_gets_the_ticket_and_then_the_record(side: Side, sha256: str | None) -> None:
    ticket = ticket_of(ask(side, sha256=sha256))
    again, replayed = ask(side, sha256=sha256)
    assert isinstance(again, Ticket)
    assert (again.id, replayed, side.unfinished()) == (ticket.id, True, [ticket.id])
    side.store.put(original_key(ticket.id), io.BytesIO(b"0123456789"), size=10, content_type="image/jpeg")
    arrived, replayed = ask(side, sha256=sha256)
    assert isinstance(arrived, Accepted)
    assert (arrived.image.id, arrived.image.status, replayed) == (ticket.id, Status.PENDING, True)
    side.deletion.delete(ANONYMOUS, ticket.id)
    with pytest.raises(Gone):
        ask(side, sha256=sha256)


def test_a_ticket_and_an_upload_cannot_share_a_key(side: Side) -> None:
    send(side, "t")
    with pytest.raises(Invalid):
        ask(side)


def test_a_refused_ticket_frees_the_key(side: Side) -> None:
    for number in range(2):
        side.images.create(_open(number), claim=False)
    eventually(lambda: len(side.images.open_tickets(ANONYMOUS, 10)), 2)
    with pytest.raises(TooManyRequests):
        ask(side)
    side.images.remove(_open(0).id, 1)
    eventually(lambda: len(side.images.open_tickets(ANONYMOUS, 10)), 1)
    assert not ask(side)[1]


def _open(number: int) -> Image:
    moment = datetime.fromisoformat("2026-11-28T00:00:00+00:00")
    return Image(
        id=f"01a21211-8a9b-7bc8-801b-cadcca2023b{number}", owner=ANONYMOUS, content_type="image/jpeg", bytes=1,
        uploaded_at=moment, updated_at=moment, upload_expires_at=utcnow() + timedelta(days=1),
    )  # fmt: skip


@pytest.mark.parametrize("sha256", [None, "ab" * 32])
@pytest.mark.parametrize("number", smoke([4, *range(4), *range(5, 8)]))
def test_a_ticket_request_that_ends_anywhere_is_finished_by_its_repetition(
    side: Side, later: Now, number: int, sha256: str | None
) -> None:
    try:
        ask(side, step=CrashAt(number), sha256=sha256)
    except Crash:
        later(LEASE + timedelta(seconds=1))
    ticket = ticket_of(ask(side, sha256=sha256))
    assert ticket_of(ask(side, sha256=sha256)).id == ticket.id
    assert side.unfinished() == [ticket.id]


@pytest.mark.parametrize("sha256", [None, "ab" * 32])
@pytest.mark.parametrize("number", smoke([3, 1, 2, *range(4, 7)]))
def test_a_repetition_beside_a_slow_ticket_request_gets_the_same_ticket(
    side: Side, later: Now, number: int, sha256: str | None
) -> None:
    made: list[str] = []

    def repeat() -> None:
        later(LEASE + timedelta(seconds=1))
        made.append(ticket_of(ask(side, sha256=sha256)).id)

    made.append(ticket_of(ask(side, step=ActAt(number, repeat), sha256=sha256)).id)
    made.append(ticket_of(ask(side, sha256=sha256)).id)
    assert len(set(made)) == 1
    assert side.unfinished() == made[:1]
