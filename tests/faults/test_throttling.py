"""Services that refuse, stall and lose answers: short faults are retried, lasting ones reported and cleaned up."""

import itertools
import logging

import pytest

from app.domain.errors import AlreadyExists, Stale, Unavailable
from app.domain.ids import new_id
from app.domain.models import Status, utcnow
from app.domain.ports import ListQuery
from app.domain.work import Task
from tests.contract.records import tombstone_of
from tests.faults.oracle import unrest
from tests.faults.scene import OWNER, Scene, tiered
from tests.faults.wire import Fault, Script, answer_lost, cancelled, refused, unanswered

pytestmark = [pytest.mark.moto, pytest.mark.usefixtures("hurried"), pytest.mark.slow]

TABLE = {
    "throttled": refused("ProvisionedThroughputExceededException"),
    "limited": refused("ThrottlingException"),
    "broken": refused("InternalServerError", 500),
    "silent": unanswered,
}
BUCKET = {"slow down": refused("SlowDown", 503), "broken": refused("InternalError", 500), "silent": unanswered}
OBJECTS = frozenset({"PutObject", "GetObject", "HeadObject", "DeleteObject", "DeleteObjects", "ListObjectsV2"})


def each_twice(table: Fault, bucket: Fault) -> Script:
    """Every request is refused twice before it goes through."""
    turns: dict[str, int] = {}

    def script(operation: str) -> Fault | None:
        turns[operation] = turns.get(operation, -1) + 1
        if turns[operation] % 3 == 2:
            return None
        return bucket if operation in OBJECTS else table

    return script


def always(fault: Fault, *operations: str) -> Script:
    return lambda operation: fault if operation in operations else None


@pytest.mark.parametrize("pair", tiered(zip(TABLE, itertools.cycle(BUCKET), strict=False)), ids=" and ".join)
def test_calls_that_are_refused_twice_succeed(scene: Scene, pair: tuple[str, str]) -> None:
    table, bucket = pair
    with scene.wire.under(each_twice(TABLE[table], BUCKET[bucket])):
        kept, gone = (scene.upload(seed).image.id for seed in (1, 2))
        scene.deliver()
        scene.edit(kept, title="seen", tags=["other"])
        assert scene.listed(tags=("other",)) == [kept]
        scene.delete(gone)
    scene.reconcile(2)  # the delete is finished after the longest attempt
    assert unrest(scene.side, gone=scene.gone) == []
    assert scene.image(kept).status is Status.READY


def test_a_bucket_that_says_slow_down_three_times(scene: Scene) -> None:
    turns = iter(range(3))
    with scene.wire.under(
        lambda operation: BUCKET["slow down"] if operation in OBJECTS and next(turns, 9) < 3 else None
    ):
        image = scene.upload().image
    assert scene.wire.requests.count("PutObject") == 4
    scene.deliver()
    assert unrest(scene.side) == []
    assert scene.image(image.id).status is Status.READY


@pytest.mark.parametrize("reason", tiered(["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]))
def test_a_transaction_in_the_way_of_others_is_tried_again(scene: Scene, reason: str) -> None:
    turns = iter(range(4))
    fault = cancelled("None", reason, "None")
    with scene.wire.under(lambda operation: fault if operation.startswith("Transact") and next(turns, 9) < 4 else None):
        image = scene.upload().image
    assert scene.wire.requests.count("TransactWriteItems") == 5
    assert scene.image(image.id) == image


def test_a_plain_write_in_the_way_of_a_transaction_is_tried_again(scene: Scene) -> None:
    image = scene.ready()
    turns = iter(range(4))
    conflict = refused("TransactionConflictException")
    with scene.wire.under(lambda operation: conflict if operation == "UpdateItem" and next(turns, 9) < 4 else None):
        assert scene.edit(image.id, title="seen").title == "seen"
    assert scene.wire.requests == ["GetItem", *["UpdateItem"] * 5]
    assert unrest(scene.side) == []


@pytest.mark.parametrize("fault", tiered(TABLE))
def test_an_upload_without_a_table_is_refused_and_leaves_nothing(scene: Scene, fault: str) -> None:
    with scene.wire.under(always(TABLE[fault], "TransactWriteItems")), pytest.raises(Unavailable) as caught:
        scene.upload()
    assert caught.value.retry_after > 0
    assert unrest(scene.side) == []
    assert scene.listed() == []
    assert not scene.upload().duplicate


@pytest.mark.parametrize("fault", tiered(BUCKET))
def test_an_upload_that_the_bucket_refuses_leaves_nothing(scene: Scene, fault: str) -> None:
    with scene.wire.under(always(BUCKET[fault], "PutObject")), pytest.raises(Unavailable):
        scene.upload()
    assert unrest(scene.side) == []
    assert scene.listed() == []
    assert not scene.upload().duplicate


@pytest.mark.parametrize("fault", tiered(BUCKET))
def test_a_bucket_that_is_down_for_all_of_an_upload(scene: Scene, fault: str) -> None:
    with scene.wire.under(always(BUCKET[fault], *OBJECTS)), pytest.raises(Unavailable):
        scene.upload(1)
    with scene.wire.under(always(BUCKET[fault], *OBJECTS)), pytest.raises(Unavailable):
        scene.upload(2)
    repeated = scene.upload(2).image
    scene.come_to_rest()
    assert scene.listed(status=Status.READY) == scene.listed() == [repeated.id]


def test_a_delete_while_the_bucket_is_down_is_finished_later(scene: Scene) -> None:
    image = scene.ready()
    with scene.wire.under(always(BUCKET["slow down"], *OBJECTS)):
        scene.delete(image.id)
    assert scene.listed() == []
    assert scene.side.objects()
    scene.come_to_rest()
    assert not scene.side.objects()


def test_a_worker_without_its_bucket_or_table_leaves_the_message_to_others(scene: Scene) -> None:
    image = scene.upload().image
    for fault, operations in ((BUCKET["broken"], OBJECTS), (TABLE["throttled"], ("TransactWriteItems",))):
        with scene.wire.under(always(fault, *operations)), pytest.raises(Unavailable):
            scene.worker().handle(image.id)
    assert scene.image(image.id).status is Status.PENDING
    scene.come_to_rest()
    assert scene.image(image.id).status is Status.READY


def test_no_answer_that_is_lost_is_missed(scene: Scene) -> None:
    """The SDK asks again, and what was done the first time is no refusal of the second."""
    played = "amazonaws" in scene.dynamodb.meta.endpoint_url
    but = {"TransactWriteItems"} if played else set()  # moto does not know a transaction by its token
    turns: dict[str, int] = {}

    def script(operation: str) -> Fault | None:
        turns[operation] = turns.get(operation, 0) + 1
        return answer_lost if turns[operation] % 2 and operation not in but else None

    with scene.wire.under(script):
        kept, gone = (scene.upload(seed).image for seed in (1, 2))
        assert scene.upload(1).duplicate
        scene.deliver()
        before = scene.image(kept.id).version
        assert scene.edit(kept.id, title="once").version == before + 1
        scene.edit(kept.id, tags=["other"])
        scene.delete(gone.id)
    scene.reconcile(2)  # the delete is finished after the longest attempt
    assert unrest(scene.side, gone=scene.gone) == []
    assert scene.listed(status=Status.READY, tags=("other",)) == [kept.id]


def test_only_what_an_operator_must_know_is_logged_and_nobodys_words(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="app")
    image = scene.ready()
    with pytest.raises(Stale):
        scene.side.images.update(image.id, 7, {"title": "private words"})
    with pytest.raises(AlreadyExists):
        scene.side.images.create(image, claim=False)
    assert scene.upload().duplicate
    assert not caplog.records  # a condition that fails is no failure
    with scene.wire.under(always(refused("AccessDeniedException"), "UpdateItem")), pytest.raises(Unavailable):
        scene.edit(image.id, title="private words")
    (line,) = caplog.records
    told = vars(line)
    assert (told["operation"], told["error"], told["aws_request_id"]) == (
        "update_item", "AccessDeniedException", "injected",
    )  # fmt: skip
    assert not line.exc_info
    assert "private" not in str(told)


@pytest.mark.parametrize("fault", tiered(TABLE))
def test_every_promise_of_the_records_ends_as_unavailable(scene: Scene, fault: str) -> None:
    image = scene.ready()
    images, other = scene.side.images, image.model_copy(update={"id": new_id()})
    tombstone = tombstone_of(image)
    with scene.wire.under(lambda _: TABLE[fault]):
        for action in (
            lambda: images.get(image.id),
            lambda: images.find_hash(OWNER, "0" * 64),
            lambda: images.create(other, claim=True),
            lambda: images.claim(image),
            lambda: images.update(image.id, image.version, {"title": "x"}),
            lambda: images.update(image.id, image.version, {"tags": ["x"]}),
            lambda: images.delete(image.id, image.version, tombstone),
            lambda: images.remove(image.id, image.version),
            lambda: images.remove_all([image]),
            lambda: images.open_tickets(OWNER, 5),
            lambda: list(images.owned(OWNER)),
            lambda: list(images.scan()),
            lambda: images.update_tombstone(image.id, {Task.PURGE: None}),
            lambda: images.list(ListQuery(OWNER, 10)),
            lambda: list(images.due(utcnow())),
            images.ping,
        ):
            with pytest.raises(Unavailable):
                action()
    assert unrest(scene.side) == []
    assert scene.image(image.id) == image
