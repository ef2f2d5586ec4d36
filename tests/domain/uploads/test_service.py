"""No acknowledged upload is lost, none is doubled, and a refused one leaves nothing."""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import Conflict, Unavailable
from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, Failure, FailureCode, FocalPoint, Image, Status, Tombstone, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.uploads.descriptions import Description
from app.domain.uploads.requests import Attempt, Upload
from app.domain.uploads.service import Accepted, Uploads
from tests.contract.records import an_image
from tests.sides import Interposed, Side, once

BYTES = b"\xff\xd8\xff picture " * 100


def upload(body: bytes = BYTES, **fields: Any) -> Upload:
    digest = hashlib.sha256(body).hexdigest()
    return Upload(body=io.BytesIO(body), size=len(body), sha256=digest, content_type="image/jpeg", **fields)


def accept(side: Side, **options: Any) -> Accepted:
    return Uploads(side.store, side.images).accept(ANONYMOUS, upload(), **options)


def everything(side: Side) -> list[Image]:
    return list(side.images.list(ListQuery(owner=ANONYMOUS, limit=200)).items)


def stored(side: Side, image: Image) -> bytes:
    with side.store.open(original_key(image.id)) as stream:
        return stream.read()


def refuse(*_: object, **__: object) -> None:
    raise Unavailable("the disk is full")


def after_first(action: Callable[..., None]) -> Callable[..., None]:
    """A hook that acts from the second call on."""
    calls: list[None] = []

    def hook(*arguments: object, **options: object) -> None:
        calls.append(None)
        if len(calls) > 1:
            action(*arguments, **options)

    return hook


@pytest.mark.moto
def test_an_upload_has_a_pending_record_and_its_bytes(side: Side) -> None:
    described = Description("T", "A", ("x", "y"), {"album": "7"}, FocalPoint(x=0.25, y=0.5), Visibility.PUBLIC)
    accepted = Uploads(side.store, side.images).accept(
        ANONYMOUS, upload(filename="a.jpg", declared_content_type="image/png", description=described)
    )
    image = accepted.image
    assert not accepted.duplicate
    assert side.images.get(image.id) == image
    assert (image.status, image.bytes, image.content_type) == (Status.PENDING, len(BYTES), "image/jpeg")
    assert (image.filename, image.declared_content_type, image.title, image.alt) == ("a.jpg", "image/png", "T", "A")
    assert image.tags == ["x", "y"]
    assert (image.metadata, image.focal_point) == ({"album": "7"}, FocalPoint(x=0.25, y=0.5))
    assert image.visibility is Visibility.PUBLIC
    assert stored(side, image) == BYTES


@pytest.mark.moto
def test_the_same_bytes_again_are_a_duplicate_of_a_ready_image(side: Side) -> None:
    first = accept(side).image
    side.images.update(first.id, first.version, {"status": Status.READY})
    again = accept(side)
    assert again.duplicate
    assert again.image.id == first.id
    assert len(everything(side)) == len(side.objects()) == 1


def test_bytes_of_another_owner_are_no_duplicate(side: Side) -> None:
    uploads = Uploads(side.store, side.images)
    assert not uploads.accept("one", upload()).duplicate
    assert not uploads.accept("two", upload()).duplicate


def test_kept_duplicates_are_stored_again(side: Side) -> None:
    first = accept(side).image
    second = accept(side, keep_duplicate=True)
    assert not second.duplicate
    assert {image.id for image in everything(side)} == {first.id, second.image.id}
    assert len(side.objects()) == 2


def test_a_kept_copy_alone_is_known(side: Side) -> None:
    kept = accept(side, keep_duplicate=True).image
    again = accept(side)
    assert (again.duplicate, again.image.id) == (True, kept.id)


def test_a_kept_copy_takes_the_place_of_a_failed_image(side: Side) -> None:
    first = accept(side).image
    error = Failure(code=FailureCode.TIMEOUT, detail="Too slow.")
    side.images.update(first.id, first.version, {"status": Status.FAILED, "error": error})
    kept = accept(side, keep_duplicate=True)
    again = accept(side)
    assert (kept.duplicate, again.duplicate, again.image.id) == (False, True, kept.image.id)


def test_a_copy_whose_bytes_are_refused_leaves_nothing(side: Side) -> None:
    first = accept(side).image
    refusing = Interposed(side.store, before={"create": refuse})
    with pytest.raises(Unavailable):
        Uploads(refusing, side.images).accept(ANONYMOUS, upload(), keep_duplicate=True)  # type: ignore[arg-type]
    assert [image.id for image in everything(side)] == [first.id]
    side.deletion.delete(ANONYMOUS, first.id)
    assert not accept(side).duplicate


def test_a_copy_that_cannot_be_noted_is_stored_all_the_same(side: Side) -> None:
    accept(side)
    unnoted = Interposed(side.images, before={"claim": refuse})
    kept = Uploads(side.store, unnoted).accept(ANONYMOUS, upload(), keep_duplicate=True)  # type: ignore[arg-type]
    assert not kept.duplicate
    assert stored(side, kept.image) == BYTES


def test_a_duplicate_of_a_pending_record_without_bytes_brings_them(side: Side) -> None:
    first = accept(side).image
    side.store.delete(original_key(first.id))  # as if the first request had died between record and bytes
    again = accept(side)
    assert again.duplicate
    assert again.image.id == first.id
    assert stored(side, first) == BYTES


@pytest.mark.parametrize("state", ["failed", "deleted"])
def test_a_failed_or_deleted_image_does_not_count_as_a_duplicate(side: Side, state: str) -> None:
    first = accept(side).image
    if state == "failed":
        error = Failure(code=FailureCode.TIMEOUT, detail="Too slow.")
        side.images.update(first.id, first.version, {"status": Status.FAILED, "error": error})
    else:
        side.deletion.delete(ANONYMOUS, first.id)
    second = accept(side)
    assert not second.duplicate
    assert second.image.id != first.id
    assert stored(side, second.image) == BYTES
    third = accept(side)
    assert third.duplicate
    assert third.image.id == second.image.id


@pytest.mark.moto
def test_a_refused_upload_leaves_nothing(side: Side) -> None:
    full = Interposed(side.store, before={"create": refuse})
    with pytest.raises(Unavailable):
        Uploads(full, side.images).accept(ANONYMOUS, upload())
    assert everything(side) == []
    assert side.objects() == set()
    assert not accept(side).duplicate


def test_an_upload_whose_bytes_arrived_though_the_store_said_no_is_accepted(side: Side) -> None:
    broken = Interposed(side.store, after={"create": refuse})
    accepted = Uploads(broken, side.images).accept(ANONYMOUS, upload())
    assert not accepted.duplicate
    assert stored(side, accepted.image) == BYTES


def test_bytes_that_arrived_and_cannot_be_made_durable_are_not_acknowledged(side: Side) -> None:
    broken = Interposed(side.store, after={"create": refuse}, before={"create": after_first(refuse)})
    with pytest.raises(Unavailable):
        Uploads(broken, side.images).accept(ANONYMOUS, upload())
    again = accept(side)
    assert again.duplicate
    assert stored(side, again.image) == BYTES


def test_a_duplicate_answered_while_the_first_request_fails_is_not_lost(side: Side) -> None:
    answers: list[Accepted] = []

    def a_duplicate_arrives_then_the_disk_is_full(*_: object, **__: object) -> None:
        answers.append(accept(side))
        raise Unavailable("the disk is full")

    full = Interposed(side.store, before={"create": a_duplicate_arrives_then_the_disk_is_full})
    first = Uploads(full, side.images).accept(ANONYMOUS, upload())
    assert answers[0].duplicate
    assert first.image.id == answers[0].image.id
    assert stored(side, answers[0].image) == BYTES
    assert [image.id for image in everything(side)] == [first.image.id]


def test_a_duplicate_that_comes_between_the_failed_requests_last_look_and_its_withdrawal_is_not_lost(
    side: Side,
) -> None:
    answers: list[Accepted] = []
    full = Interposed(side.store, before={"create": refuse})
    racing = Interposed(side.images, before={"remove": once(lambda: answers.append(accept(side)))})
    first = Uploads(full, racing).accept(ANONYMOUS, upload())
    assert answers[0].image.id == first.image.id
    assert stored(side, first.image) == BYTES


def test_a_record_withdrawn_while_its_duplicate_stores_the_bytes_is_replaced(side: Side) -> None:
    first = accept(side).image
    side.store.delete(original_key(first.id))
    racing = Interposed(side.store, before={"create": once(lambda: side.images.remove(first.id, first.version))})
    second = Uploads(racing, side.images).accept(ANONYMOUS, upload())
    assert not second.duplicate
    assert side.objects() == {original_key(second.image.id)}
    assert side.images.get(first.id) is None


def test_an_image_deleted_while_its_duplicate_looks_is_replaced(side: Side) -> None:
    first = accept(side).image
    tombstone = Tombstone(id=first.id, owner=ANONYMOUS, deleted_at=utcnow(), expires_at=utcnow() + timedelta(days=1))
    delete = once(lambda: side.images.delete(first.id, first.version, tombstone))
    racing = Interposed(side.images, after={"get": delete})
    second = Uploads(side.store, racing).accept(ANONYMOUS, upload())
    assert second.image.id != first.id
    assert stored(side, second.image) == BYTES


def test_racing_uploads_of_the_same_bytes_make_one_image(side: Side) -> None:
    uploads = Uploads(side.store, side.images)
    with ThreadPoolExecutor(16) as pool:
        accepted = list(pool.map(lambda _: uploads.accept(ANONYMOUS, upload()), range(32)))
    assert len({one.image.id for one in accepted}) == 1
    assert [one.duplicate for one in accepted].count(False) == 1
    assert len(everything(side)) == len(side.objects()) == 1
    assert stored(side, accepted[0].image) == BYTES


def test_racing_uploads_over_a_failing_store_keep_every_promise_they_made(side: Side) -> None:
    failures = iter([True, False] * 8)

    def sometimes(*_: object, **__: object) -> None:
        if next(failures, False):
            raise Unavailable("now and then")

    uploads = Uploads(Interposed(side.store, before={"create": sometimes}), side.images)

    def attempt(_: int) -> Accepted | None:
        try:
            return uploads.accept(ANONYMOUS, upload())
        except Unavailable:
            return None

    with ThreadPoolExecutor(8) as pool:
        accepted = [one for one in pool.map(attempt, range(24)) if one]
    assert accepted
    for one in accepted:
        assert stored(side, one.image) == BYTES
        assert isinstance(side.images.get(one.image.id), Image)
    assert len(everything(side)) == 1


@pytest.fixture
def hours_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A hook after which two hours have passed for uploads, as when the machine was suspended."""

    def hook(*_: object, **__: object) -> None:
        later = utcnow() + timedelta(hours=2)
        monkeypatch.setattr("app.domain.uploads.service.utcnow", lambda: later)

    return hook


def test_an_upload_that_outlasts_its_record_is_refused_and_leaves_nothing(
    side: Side, hours_pass: Callable[..., None]
) -> None:
    def reconcile(*_: object, **__: object) -> None:
        hours_pass()
        report = side.reconciler.run(now=utcnow() + timedelta(hours=2))
        assert report.never_came == 1

    store: Any = Interposed(side.store, before={"create": reconcile})
    with pytest.raises(Unavailable, match="Send the image again"):
        Uploads(store, side.images).accept(ANONYMOUS, upload())
    assert side.objects() == set()
    side.reconciler.run(now=utcnow() + timedelta(hours=2))  # finishes the tombstone
    assert side.unfinished() == []


def test_a_slow_upload_whose_record_is_there_is_accepted(side: Side, hours_pass: Callable[..., None]) -> None:
    store: Any = Interposed(side.store, before={"create": hours_pass})
    accepted = Uploads(store, side.images).accept(ANONYMOUS, upload())
    assert side.images.get(accepted.image.id) == accepted.image
    assert stored(side, accepted.image) == BYTES


def test_reconcile_cannot_remove_the_record_of_a_slow_upload_that_was_accepted(
    side: Side, hours_pass: Callable[..., None]
) -> None:
    """It has read the record, and looked for the bytes in vain, just before they were stored."""
    read: list[Image] = []

    def look(*_: object, **__: object) -> None:
        hours_pass()
        (image_id,) = side.unfinished()
        image = side.images.get(image_id)
        assert isinstance(image, Image)
        read.append(image)

    store: Any = Interposed(side.store, before={"create": look})
    accepted = Uploads(store, side.images).accept(ANONYMOUS, upload())
    assert side.images.remove_all(read) == set()
    assert side.images.get(accepted.image.id) == accepted.image


def test_a_duplicate_of_an_old_upload_is_safe_from_a_reconcile_that_has_read_it(side: Side) -> None:
    """Reconcile has looked for the bytes before they were there; the upload that stored them was cut off."""
    then = utcnow() - timedelta(hours=2)
    digest = hashlib.sha256(BYTES).hexdigest()
    old = an_image(
        owner=ANONYMOUS, sha256=digest, bytes=len(BYTES), version=2, uploaded_at=then, updated_at=then
    )  # fmt: skip
    side.images.create(old, claim=True)
    side.store.create(original_key(old.id), io.BytesIO(BYTES), size=len(BYTES), content_type="image/jpeg")
    accepted = accept(side)
    assert (accepted.image.id, accepted.duplicate) == (old.id, True)
    assert side.images.remove_all([old]) == set()
    assert stored(side, accepted.image) == BYTES


def test_a_retry_with_other_bytes_changes_nothing(side: Side) -> None:
    """The bytes at a url have changed between two attempts at one request."""
    uploads, image_id = Uploads(side.store, side.images), new_id()
    first = uploads.accept(ANONYMOUS, upload(), attempt=Attempt(image_id)).image
    with pytest.raises(Conflict) as refused:
        uploads.accept(ANONYMOUS, upload(b"\xff\xd8\xff other"), attempt=Attempt(image_id, is_retry=True))
    assert refused.value.code == "source_changed"
    assert side.images.get(image_id) == first
    assert stored(side, first) == BYTES
