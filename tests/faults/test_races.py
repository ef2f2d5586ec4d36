"""Races of functions that run at once."""

import itertools

import pytest

from app.domain.errors import Unavailable
from app.domain.images.notifications import object_created
from app.domain.models import FailureCode, Image, Status
from app.domain.ports import Message
from app.domain.reports import Outcome
from app.domain.work import Task
from app.worker.events import handle_event
from tests.contract.races import race, winners
from tests.contract.records import tombstone_of
from tests.faults.scene import OWNER, Scene, queue_event, tiered
from tests.faults.wire import first
from tests.sides import Interposed

pytestmark = [pytest.mark.moto, pytest.mark.slow]


def an_event(image: Image) -> dict[str, object]:
    return queue_event(Message("1", "1", object_created(f"originals/{image.id}", image.bytes), 1))


def test_the_same_event_ten_times_at_once(scene: Scene) -> None:
    image = scene.upload().image
    workers = [scene.worker() for _ in range(10)]
    answers = race(lambda number: handle_event(an_event(image), workers[number]), racers=10)
    assert answers == [{"batchItemFailures": []}] * 10
    outcomes = [outcome for worker in workers for outcome in worker.counts.elements()]
    assert sorted(outcomes) == [Outcome.DUPLICATE] * 9 + [Outcome.READY]
    scene.come_to_rest()
    assert scene.image(image.id).status is Status.READY


def test_the_event_that_comes_before_the_original(scene: Scene) -> None:
    early = []

    def deliver_early() -> None:
        (image_id,) = scene.listed()
        image = scene.image(image_id)
        early.append(handle_event(an_event(image), scene.worker()))

    store = scene.side.store
    scene.side = scene.side.having(store=Interposed(store, before={"create": lambda *_, **__: deliver_early()}))
    image = scene.upload().image
    assert early == [{"batchItemFailures": [{"itemIdentifier": "1"}]}]  # it comes again
    scene.come_to_rest()
    assert scene.image(image.id).status is Status.READY


def test_the_event_that_comes_before_the_record_can_be_read(scene: Scene) -> None:
    image = scene.upload().image

    class NotYet:
        def __getattr__(self, name: str) -> object:
            return (lambda _: None) if name == "get" else getattr(scene.side.images, name)

    early = scene.worker(NotYet())  # type: ignore[arg-type] # speaks as the repository does
    scene.deliver(early)
    assert list(early.counts) == [Outcome.UNKNOWN]
    assert scene.image(image.id).status is Status.PENDING
    scene.come_to_rest()  # reconcile sends the event again
    assert scene.image(image.id).status is Status.READY


def test_uploads_of_the_same_bytes_at_once(scene: Scene) -> None:
    results = race(lambda _: scene.upload(), racers=8)
    assert winners(results) == list(range(8))
    assert len({result.image.id for result in results if not isinstance(result, Unavailable)}) == 1  # type: ignore[union-attr] # all won
    assert sorted(result.duplicate for result in results) == [False] + [True] * 7  # type: ignore[union-attr] # all won
    scene.come_to_rest()
    assert len(scene.listed(status=Status.READY)) == 1


def test_a_transaction_canceled_by_the_hash_pointer(scene: Scene) -> None:
    """Another upload of the bytes takes the pointer just before the transaction."""
    with scene.wire.at(1, first(scene.upload)):
        late = scene.upload()
    assert late.duplicate
    scene.come_to_rest()
    assert scene.listed(status=Status.READY) == [late.image.id]


@pytest.mark.parametrize("ended", tiered(["failed", "deleted"]))
def test_uploads_at_once_after_a_record_that_does_not_count(scene: Scene, ended: str) -> None:
    old = scene.ready().id
    if ended == "failed":
        error = {"code": FailureCode.CORRUPT_IMAGE, "detail": "No."}
        scene.edit(old, status=Status.FAILED, error=error)
    else:
        scene.delete(old)
    results = race(lambda _: scene.upload(), racers=6)
    assert winners(results) == list(range(6))
    scene.come_to_rest()
    (new,) = scene.listed(status=Status.READY)
    assert new != old
    assert scene.side.images.find_hash(OWNER, scene.image(new).sha256 or "") == new


def test_a_delete_frees_the_bytes_whoever_stands_for_them(scene: Scene) -> None:
    """The pointer names another image when the delete first looks, and is its own when it is done."""
    first_one, kept = scene.upload(), scene.upload(keep=True)
    scene.deliver()
    own, other = scene.image(kept.image.id), scene.image(first_one.image.id)

    def change_hands() -> None:
        scene.delete(other.id)
        assert scene.side.images.claim(own)

    requests = itertools.count(1)
    with scene.wire.under(lambda _: first(change_hands) if next(requests) == 4 else None):
        scene.delete(own.id)
    assert scene.wire.requests[:5] == ["GetItem", "GetItem", *["TransactWriteItems"] * 3]
    scene.come_to_rest()
    assert scene.side.images.find_hash(OWNER, own.sha256 or "") is None


def test_a_deleted_record_claims_no_bytes(scene: Scene) -> None:
    kept = scene.upload().image, scene.upload(keep=True).image
    scene.deliver()
    ready = scene.image(kept[1].id)
    for image in kept:
        scene.delete(image.id)
    assert not scene.side.images.claim(ready)
    scene.come_to_rest()


def test_edits_workers_and_deletes_at_once(scene: Scene) -> None:
    ids = [scene.upload(seed).image.id for seed in range(4)]
    workers = [scene.worker() for _ in range(4)]

    def act(number: int) -> None:
        image_id = ids[number % 4]
        if number < 4:
            workers[number].handle(image_id)
        elif number < 8:
            scene.edit(image_id, title="by hand", tags=[f"tag {number}"])
        elif number % 2:
            scene.delete(image_id)

    race(act, racers=12)
    scene.come_to_rest()
    assert scene.gone == {ids[1], ids[3]}
    assert sorted(scene.listed(status=Status.READY)) == sorted(ids[::2])
    assert {scene.image(image_id).title for image_id in ids[::2]} == {"by hand"}


def test_an_expired_tombstone_that_is_still_there(scene: Scene) -> None:
    image = scene.upload().image
    gone = tombstone_of(image, seconds=-2)
    scene.side.images.delete(image.id, 1, gone)
    scene.side.images.update_tombstone(image.id, {Task.PURGE: None})
    assert scene.side.images.get(image.id) is None
    worker = scene.worker()
    scene.deliver(worker)
    assert list(worker.counts) == [Outcome.UNKNOWN]
    scene.come_to_rest()
    assert scene.listed() == []
    assert not scene.side.objects()
    scene.side.images.create(image, claim=True)
    assert scene.image(image.id) == image
