"""Records in DynamoDB: cost of a call, records of newer versions, and the size limit of an item."""

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.adapters.dynamodb import DynamoImages, items
from app.adapters.dynamodb.keys import open_key
from app.adapters.dynamodb.table import EXPIRES_AT, KEY
from app.domain.errors import Stale
from app.domain.ids import new_id
from app.domain.models import FocalPoint, Format, Image, Status, Variant, Visibility, utcnow
from app.domain.work import Task, Work
from tests.contract.records import FULL, OWNER, a_query, an_image, ids, stored, tombstone_of
from tests.faults.wire import Wire
from tests.sides import once

pytestmark = pytest.mark.moto


def requests_of(client: Any, action: Callable[[], object]) -> list[str]:
    wire = Wire(client)
    with wire.under(lambda _: None):
        action()
    return wire.requests


def test_an_edit_is_one_write(client: Any, images: DynamoImages) -> None:
    image = stored(images, **FULL | {"upload_expires_at": None, "trashed_at": None})
    words = {"title": "t", "alt": "a", "metadata": {"k": "v"}, "focal_point": FocalPoint(x=0.5, y=0.5)}
    assert requests_of(client, lambda: images.update(image.id, 1, words)) == ["UpdateItem"]
    assert requests_of(client, lambda: images.update(image.id, 2, {})) == ["UpdateItem"]
    moved: dict[str, Any] = {"tags": ["b"]}
    assert requests_of(client, lambda: images.update(image.id, 3, moved)) == ["GetItem", "TransactWriteItems"]
    assert requests_of(client, lambda: images.update(image.id, 4, moved)) == ["GetItem", "UpdateItem"]


def test_a_change_of_tasks_is_one_write_if_the_index_stays(client: Any, images: DynamoImages) -> None:
    """The pointer follows the task that is due first. It is written with each change, because it may be missing."""
    image = stored(images, status=Status.READY, work={})
    now = utcnow()
    later = {Task.SWEEP: Work(since=now, due=now + timedelta(hours=1))}
    both = ["GetItem", "TransactWriteItems"]
    assert requests_of(client, lambda: images.update(image.id, 1, {"work": {}})) == ["GetItem", "UpdateItem"]
    assert requests_of(client, lambda: images.update(image.id, 2, {"work": later})) == both
    assert requests_of(client, lambda: images.update(image.id, 3, {"title": "t"})) == ["UpdateItem"]
    assert requests_of(client, lambda: images.update(image.id, 4, {"tags": ["t"], "work": {Task.SWEEP: None}})) == both


def test_an_end_is_one_read_and_one_transaction_and_changes_the_counts(client: Any, images: DynamoImages) -> None:
    buried, removed = stored(images), stored(images)
    once = ["GetItem", "TransactWriteItems"]
    assert requests_of(client, lambda: images.delete(buried.id, 1, tombstone_of(buried))) == [*once, "UpdateItem"]
    assert requests_of(client, lambda: images.remove(removed.id, 1)) == [*once, "UpdateItem"]
    assert requests_of(client, lambda: images.update_tombstone(buried.id, {Task.PURGE: None})) == once


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(4, ["Query", "BatchGetItem"]), (20, ["Query", "BatchGetItem"])],
)
@pytest.mark.slow
def test_a_page_reads_no_more_records_than_it_wants(
    client: Any, images: DynamoImages, limit: int, expected: list[str]
) -> None:
    for _ in range(12):
        stored(images, tags=["sea"])
    asked = []
    original = client.batch_get_item

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def batch_get_item(self, **arguments: Any) -> Any:
            ((_, request),) = arguments["RequestItems"].items()
            asked.append(len(request["Keys"]))
            return original(**arguments)

    counted = DynamoImages(Counting(), images._table)
    for filters in ({}, {"tags": ("sea",)}, {"tags": ("sea",), "status": Status.PENDING}):
        asked.clear()
        page = counted.list(a_query(limit, **filters))
        assert len(page.items) == min(limit, 12)
        assert sum(asked) == min(limit + 1, 12)
    assert requests_of(client, lambda: images.list(a_query(limit))) == expected


@pytest.mark.slow
def test_records_that_one_filter_leaves_out_are_not_read(client: Any, images: DynamoImages) -> None:
    """The index joins: tags and states that never meet cost no record at all."""
    for number in range(30):
        stored(images, tags=["sea"] if number % 2 else [], status=[Status.FAILED, Status.READY][number % 2])
    requests = requests_of(client, lambda: images.list(a_query(10, tags=("sea",), status=Status.FAILED)))
    assert requests == ["Query", "Query"]
    assert ids(images, tags=("sea",), status=Status.READY, limit=4) == ids(images, tags=("sea",))


def test_a_newer_versions_attributes_survive_an_update(client: Any, table: str, images: DynamoImages) -> None:
    image = stored(images, tags=["a"])
    unknown = {
        "loudness": {"N": "0.25"},
        "layers": {"L": [{"M": {"depth": {"N": "3"}}}, {"NULL": True}]},
        "mask": {"B": b"\x00\xff"},
        "moods": {"SS": ["calm"]},
    }
    client.update_item(
        TableName=table,
        Key={KEY: {"S": image.id}},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in unknown),
        ExpressionAttributeValues={f":{name}": value for name, value in unknown.items()},
    )
    assert images.get(image.id) == image
    images.update(image.id, 1, {"title": "t"})
    images.update(image.id, 2, {"tags": ["b"], "status": Status.READY})
    images.claim(image)
    found = client.get_item(TableName=table, Key={KEY: {"S": image.id}}, ConsistentRead=True)["Item"]
    assert {name: found[name] for name in unknown} == unknown
    assert [record.id for record in images.list(a_query(tags=("b",))).items] == [image.id]
    images.delete(image.id, 3, tombstone_of(image))
    assert images.get(image.id)


def raw(client: Any, table: str, key: str) -> dict[str, Any]:
    """The item under a key, as plain values; empty if there is none."""
    found = client.get_item(TableName=table, Key={KEY: {"S": key}}, ConsistentRead=True)
    return items.deserialize(found.get("Item", {}))


def add_task(client: Any, table: str, image_id: str, name: str, due: datetime) -> dict[str, Any]:
    """Add a task as a newer version does; return it."""
    task = {"since": due.isoformat(), "due": due.isoformat(), "tries": 2, "color": "red"}
    client.update_item(
        TableName=table,
        Key={KEY: {"S": image_id}},
        UpdateExpression="SET #work.#name = :task",
        ExpressionAttributeNames={"#work": items.WORK, "#name": name},
        ExpressionAttributeValues=items.serialize({":task": task}),
    )
    return task


def test_tasks_of_a_newer_version_survive(client: Any, table: str, images: DynamoImages) -> None:
    now = utcnow()
    image = stored(images, status=Status.READY, work={Task.SWEEP: Work.add(now)})
    due = now + timedelta(hours=3)
    newer = add_task(client, table, image.id, "polish", due)
    assert images.get(image.id) == image
    changed = images.update(image.id, 1, {"work": {Task.SWEEP: None, Task.HIDE: Work(since=now, due=now)}})
    assert raw(client, table, image.id)[items.WORK]["polish"] == newer
    assert changed.work == {Task.HIDE: Work(since=now, due=now)}
    images.update(image.id, 2, {"work": {Task.HIDE: None}, "status": Status.FAILED})
    assert raw(client, table, image.id)[items.WORK] == {"polish": newer}
    assert list(images.due(due - timedelta(seconds=1))) == []
    assert list(images.due(due)) == [image.id]  # so that the newer version finds it
    images.update(image.id, 3, {"tags": ["t"]})
    assert list(images.due(due)) == [image.id]


def test_tasks_of_a_newer_version_keep_a_tombstone(client: Any, table: str, images: DynamoImages) -> None:
    image = stored(images)
    images.delete(image.id, 1, tombstone_of(image, seconds=-1))
    due = utcnow() + timedelta(hours=3)
    newer = add_task(client, table, image.id, "polish", due)
    images.update_tombstone(image.id, {Task.PURGE: None})
    found = raw(client, table, image.id)
    assert (found[items.WORK], found["settled"]) == ({"polish": newer}, False)
    assert EXPIRES_AT not in found
    assert images.get(image.id) is not None
    assert list(images.due(due)) == [image.id]


def test_an_absent_visibility_stays_absent(client: Any, table: str, images: DynamoImages) -> None:
    """A record of 0.1.0 has none: its variants may have been public."""
    image = stored(images)
    edits: list[dict[str, Any]] = [{"title": "t"}, {"tags": ["t"]}, {"work": {Task.PROCESS: None}}]
    for version, changes in enumerate(edits, 1):
        found = images.update(image.id, version, changes)
        assert "visibility" not in found.model_fields_set
        assert "visibility" not in raw(client, table, image.id)
    images.remove(image.id, 4)
    images.create(found, claim=False)
    (listed,) = images.list(a_query()).items
    assert "visibility" not in listed.model_fields_set
    hidden = images.update(image.id, 4, {"visibility": Visibility.PRIVATE})
    assert "visibility" in hidden.model_fields_set
    assert raw(client, table, image.id)["visibility"] == "private"


def test_tombstones_changed_at_once_keep_every_change(client: Any, images: DynamoImages) -> None:
    image = stored(images)
    images.delete(image.id, 1, tombstone_of(image))
    task = Work.add(utcnow())

    class Overtaken:
        """Another process changes the tombstone between read and write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def transact_write_items(self, **arguments: Any) -> Any:
            overtake()
            return client.transact_write_items(**arguments)

    overtake = once(lambda: images.update_tombstone(image.id, {Task.INVALIDATE: task}))
    DynamoImages(Overtaken(), images._table).update_tombstone(image.id, {Task.PURGE: None})
    found = images.get(image.id)
    assert found is not None
    assert found.work == {Task.INVALIDATE: task}


def test_a_record_made_again_under_its_id_is_not_taken_for_the_old_one(client: Any, images: DynamoImages) -> None:
    old = stored(images, tags=["old"])
    years = iter(range(2001, 2100))

    def again() -> Image:
        images.remove(old.id, 1)
        fresh = old.model_copy(update={"tags": ["new"], "updated_at": old.updated_at.replace(year=next(years))})
        images.create(fresh, claim=True)
        return fresh

    class Swapping:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def transact_write_items(self, **arguments: Any) -> Any:
            again()
            return client.transact_write_items(**arguments)

    swapped = DynamoImages(Swapping(), images._table)
    with pytest.raises(Stale):
        swapped.update(old.id, 1, {"tags": ["other"]})
    with pytest.raises(Stale):
        swapped.delete(old.id, 1, tombstone_of(old))
    fresh = again()
    assert images.get(old.id) == fresh
    assert ids(images, tags=("new",)) == [old.id]
    assert ids(images, tags=("old",)) == ids(images, tags=("other",)) == []


def largest() -> Image:
    """A record with as much in it as requests and images can bring: see `field_values`, `worker.jobs`, `recipe`."""
    variants = [
        Variant(name="n" * 32, format=Format.WEBP, width=16383, height=16383, bytes=10**9, file="n" * 32 + ".webp")
    ] * 128
    full = {
        "title": "\U0001f4f7" * 200,
        "alt": "\U0001f4f7" * 1000,
        "filename": "\U0001f4f7" * 63,
        "tags": [f"{number:02}" + "\U0001f4f7" * 62 for number in range(20)],
        "exif": {f"{number:02}" + "\U0001f4f7" * 198: "\U0001f4f7" * 200 for number in range(40)},
        "variants": variants,
        "superseded": {f"public/{number:012x}": utcnow() for number in range(20)},
        "work": {task: Work.add(utcnow()) for task in Task},
        "status": Status.READY,
    }
    return an_image(owner="ö" * 60, **full)


@pytest.mark.slow
def test_the_largest_record_there_can_be(images: DynamoImages) -> None:
    image = largest()
    assert (
        len(json.dumps(items.serialize(items.image_item(image)), ensure_ascii=False).encode()) < 200_000
    )  # of 400 KiB
    images.create(image, claim=True)
    assert images.get(image.id) == image
    other = [f"{number:02}" + "\U0001f3d4" * 62 for number in range(20)]
    after = images.update(image.id, 1, {"tags": other, "status": Status.FAILED, "content_type": "image/png"})
    assert images.get(image.id) == after
    assert [found.id for found in images.list(a_query(owner=image.owner, tags=(other[7],))).items] == [image.id]
    images.delete(image.id, 2, tombstone_of(image))
    assert images.list(a_query(owner=image.owner)).items == []


@pytest.mark.engines
@pytest.mark.parametrize("client", ["engines"], indirect=True)
def test_a_page_of_more_than_an_answer_holds(client: Any, images: DynamoImages) -> None:
    """BatchGetItem answers with 16 MiB at most and says which keys are left."""
    made = [an_image(metadata={"words": "x" * 200_000}) for _ in range(90)]
    for image in made:
        images.create(image, claim=False)
    page = images.list(a_query(90))
    assert [image.id for image in page.items] == [image.id for image in reversed(made)]
    assert requests_of(client, lambda: images.list(a_query(90))).count("BatchGetItem") > 1


def test_time_to_live_is_for_finished_deletes_alone(client: Any, table: str, images: DynamoImages) -> None:
    """DynamoDB removes an item without looking whether its bytes are still there."""

    def expires(image_id: str) -> dict[str, str] | None:
        item = client.get_item(TableName=table, Key={KEY: {"S": image_id}}, ConsistentRead=True)["Item"]
        found: dict[str, str] | None = item.get(EXPIRES_AT)
        return found

    ticket = stored(images, claim=False, upload_expires_at=utcnow() + timedelta(days=1))
    assert expires(ticket.id) is None
    images.update(ticket.id, 1, {"arrived_at": utcnow()})
    assert expires(ticket.id) is None
    tombstone = tombstone_of(ticket)
    images.delete(ticket.id, 2, tombstone)
    assert expires(ticket.id) is None
    for _ in range(2):
        images.update_tombstone(ticket.id, {Task.PURGE: None})
        assert expires(ticket.id) == {"N": str(math.ceil(tombstone.expires_at.timestamp()))}
    images.update_tombstone(ticket.id, {Task.INVALIDATE: Work.add(utcnow())})
    assert expires(ticket.id) is None


def test_no_id_at_all_is_unknown(images: DynamoImages) -> None:
    assert images.get("") is None
    assert images.get(open_key(new_id())) is None
    assert images.find_hash(OWNER, "") is None


@pytest.mark.parametrize("changes", [{"owner": "bob"}, {"version": 9}, {"nothing": 1}, {"width": "wide"}])
def test_invalid_records_are_not_written(images: DynamoImages, changes: dict[str, Any]) -> None:
    image = stored(images)
    with pytest.raises(ValueError, match=next(iter(changes))):
        images.update(image.id, 1, changes)
    assert images.get(image.id) == image


def test_a_page_has_at_least_one_item(images: DynamoImages) -> None:
    with pytest.raises(ValueError, match="at least one"):
        images.list(a_query(0))
