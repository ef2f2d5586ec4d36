"""An index that lags, and answers that come in pieces."""

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.adapters.dynamodb.table import INDEX_KEY, INDEX_SORT, KEY
from app.domain.errors import Unavailable
from app.domain.models import Status, utcnow
from app.domain.ports import ListQuery
from app.domain.uploads.service import Accepted
from app.domain.work import Task, Work
from tests.contract.records import (
    OWNER,
    PROCESSED,
    a_query,
    an_image,
    ids,
    stored,
    tombstone_of,
    unfinished,
    walk,
)
from tests.faults.oracle import unrest
from tests.faults.scene import Scene, tiered

pytestmark = pytest.mark.moto


class Through:
    """A client of which some calls are answered otherwise."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class LaggingIndex(Through):
    """The index as it was when it last caught up; reads and writes by key go straight through."""

    def __init__(self, client: Any, table: str) -> None:
        super().__init__(client)
        self._table = table
        self._entries: list[dict[str, Any]] = []

    def catch_up(self) -> None:
        found = self._client.scan(TableName=self._table, ConsistentRead=True)["Items"]
        names = (KEY, INDEX_KEY, INDEX_SORT)
        self._entries = [{name: item[name] for name in names} for item in found if INDEX_KEY in item]
        self._entries.sort(key=lambda entry: entry[INDEX_SORT]["S"])

    def query(self, **arguments: Any) -> dict[str, Any]:
        values = {name: value["S"] for name, value in arguments["ExpressionAttributeValues"].items()}
        after = arguments.get("ExclusiveStartKey", {}).get(INDEX_SORT, {}).get("S")
        forward = arguments["ScanIndexForward"]
        found = [
            entry
            for entry in (self._entries if forward else reversed(self._entries))
            if entry[INDEX_KEY]["S"] == values[":partition"]
            and values[":low"] <= entry[INDEX_SORT]["S"] <= values[":high"]
            and (after is None or ((entry[INDEX_SORT]["S"] > after) is forward and entry[INDEX_SORT]["S"] != after))
        ]
        page = found[: arguments["Limit"]]
        more = {"LastEvaluatedKey": page[-1]} if len(found) > len(page) else {}
        return {"Items": page, **more}


class LaggingReplica(Through):
    """Reads by key that do not ask for consistency meet a replica which has heard of nothing yet."""

    def get_item(self, *, ConsistentRead: bool = False, **arguments: Any) -> dict[str, Any]:  # noqa: N803 - boto's name
        answer: dict[str, Any] = self._client.get_item(ConsistentRead=True, **arguments) if ConsistentRead else {}
        return answer

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto's name
        asked = {table: request for table, request in RequestItems.items() if request.get("ConsistentRead")}
        answer: dict[str, Any] = self._client.batch_get_item(RequestItems=asked) if asked else {"Responses": {}}
        return answer


class InPieces(Through):
    """Queries of three entries at most, every other one empty; batches of which half is left."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._turn = 0

    def query(self, **arguments: Any) -> dict[str, Any]:
        self._turn += 1
        start = arguments.pop("ExclusiveStartKey", None)
        if self._turn % 2:
            return {"Items": [], "LastEvaluatedKey": {"empty": start}}
        if start and start.get("empty", start):
            arguments["ExclusiveStartKey"] = start.get("empty", start)
        answer: dict[str, Any] = self._client.query(**arguments | {"Limit": min(arguments["Limit"], 3)})
        return answer

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto's name
        ((table, asked),) = RequestItems.items()
        now, later = asked["Keys"][::2], asked["Keys"][1::2]
        answer: dict[str, Any] = self._client.batch_get_item(RequestItems={table: asked | {"Keys": now}})
        left = {"UnprocessedKeys": {table: asked | {"Keys": later}}} if later else {}
        return answer | left


class Slow(Through):
    """Answer batches with a limited number of keys per round, from `turns` in order."""

    def __init__(self, client: Any, *done: int) -> None:
        super().__init__(client)
        self._done = done
        self.rounds = 0

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto's name
        ((table, asked),) = RequestItems.items()
        count = self._done[self.rounds % len(self._done)]
        self.rounds += 1
        answer: dict[str, Any] = {"Responses": {}}
        if count:
            now = {table: asked | {"Keys": asked["Keys"][:count]}}
            answer = self._client.batch_get_item(RequestItems=now)
        later = asked["Keys"][count:]
        return answer | ({"UnprocessedKeys": {table: asked | {"Keys": later}}} if later else {})


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses; only they advance the clock of lists."""
    made: list[float] = []
    monkeypatch.setattr("app.adapters.dynamodb.calls.time", SimpleNamespace(sleep=made.append))
    monkeypatch.setattr("app.adapters.dynamodb.calls.random.uniform", lambda _, most: most)
    monkeypatch.setattr("app.adapters.dynamodb.reading.time", SimpleNamespace(monotonic=lambda: sum(made)))
    return made


def test_a_busy_table_is_waited_for_as_long_as_it_does_something(scene: Scene, pauses: list[float]) -> None:
    made = [stored(scene.side.images).id for _ in range(8)]
    client = Slow(scene.dynamodb, 1, 0)
    assert ids(scene.images_with(client)) == made[::-1]
    assert client.rounds == 15  # more than a table gets that does nothing
    assert pauses == [0.03, 0.06] * 7


@pytest.mark.slow
def test_a_busy_table_is_given_up_after_a_while(scene: Scene, pauses: list[float]) -> None:
    made = [stored(scene.side.images).id for _ in range(20)]
    idle = Slow(scene.dynamodb, 0)
    with pytest.raises(Unavailable):
        ids(scene.images_with(idle))
    assert idle.rounds == 8
    assert pauses == [0.06 * 2**number for number in range(7)]
    pauses.clear()
    crawling = Slow(scene.dynamodb, 1, *[0] * 6)  # which is 3.8 seconds a turn
    with pytest.raises(Unavailable):
        ids(scene.images_with(crawling))
    assert 10 <= sum(pauses) < 12
    assert ids(scene.side.images) == made[::-1]


def test_a_lagging_list_never_shows_what_is_gone_or_does_not_match(scene: Scene) -> None:
    client = LaggingIndex(scene.dynamodb, scene.side.images._table)  # type: ignore[attr-defined] # the table as it is
    images = scene.images_with(client)
    changed, buried, removed, kept = (stored(images, tags=["sea"]) for _ in range(4))
    assert ids(images) == []  # not there yet
    assert images.get(kept.id) == kept  # and read by its id at once
    client.catch_up()
    assert ids(images) == [image.id for image in (kept, removed, buried, changed)]

    images.update(changed.id, 1, {"tags": ["hill"], "content_type": "image/png", **PROCESSED})
    images.delete(buried.id, 1, tombstone_of(buried))
    images.update_tombstone(buried.id, {Task.PURGE: None})
    images.remove(removed.id, 1)
    new = stored(images, tags=["sea"])
    assert ids(images, tags=("sea",)) == ids(images, status=Status.PENDING) == [kept.id]
    assert ids(images, content_type="image/jpeg", tags=("sea",), limit=1) == [kept.id]
    assert (
        ids(images, tags=("hill",)) == ids(images, status=Status.READY) == ids(images, content_type="image/png") == []
    )
    assert ids(images) == [kept.id, changed.id]
    assert images.get(new.id) == new
    assert images.find_hash(OWNER, new.sha256 or "") == new.id

    client.catch_up()
    assert ids(images) == [new.id, kept.id, changed.id]
    assert ids(images, tags=("hill",), status=Status.READY) == [changed.id]
    assert unfinished(images) == {new.id, kept.id}


@pytest.mark.slow
def test_a_lagging_list_is_full_beyond_what_is_gone(scene: Scene) -> None:
    client = LaggingIndex(scene.dynamodb, scene.side.images._table)  # type: ignore[attr-defined] # the table as it is
    images = scene.images_with(client)
    made = [stored(images) for _ in range(24)]
    client.catch_up()
    gone = made[4:20]
    for image in gone:
        images.remove(image.id, 1)
    for descending in (True, False):
        left = [image.id for image in (*made[:4], *made[20:])]
        assert ids(images, limit=3, descending=descending) == (left[::-1] if descending else left)
    page = images.list(a_query(limit=8))
    assert len(page.items) == 8
    assert page.next_after is None


def test_a_write_is_read_at_once_despite_a_stale_replica(scene: Scene) -> None:
    images = scene.images_with(LaggingReplica(scene.dynamodb))
    image, buried = stored(images), stored(images)
    assert images.get(image.id) == image
    assert images.find_hash(OWNER, image.sha256 or "") == image.id
    changed = images.update(image.id, 1, {"tags": ["sea"]})
    assert images.get(image.id) == changed
    tombstone = tombstone_of(buried)
    images.delete(buried.id, 1, tombstone)
    assert images.get(buried.id) == tombstone
    assert list(images.list(a_query(limit=5, tags=("sea",))).items) == [changed]


def test_a_service_whose_replicas_lag_answers_with_what_it_wrote(scene: Scene) -> None:
    side = scene.side
    scene.side = side.having(images=scene.images_with(LaggingReplica(scene.dynamodb)))
    image = scene.ready(1)
    assert scene.upload(1) == Accepted(image, duplicate=True)
    assert scene.edit(image.id, title="seen").title == "seen"
    scene.delete(image.id)
    assert not scene.upload(1).duplicate
    scene.come_to_rest()


@pytest.mark.slow
def test_the_service_comes_to_rest_with_an_index_that_lags(scene: Scene) -> None:
    client = LaggingIndex(scene.dynamodb, scene.side.images._table)  # type: ignore[attr-defined] # the table as it is
    side = scene.side
    scene.side = side.having(images=scene.images_with(client))
    image, deleted = scene.upload(1).image, scene.upload(2).image
    scene.deliver()
    client.catch_up()
    scene.delete(deleted.id)
    assert scene.listed() == [image.id]
    assert scene.upload(1).duplicate
    scene.reconcile(2)
    client.catch_up()
    scene.side = side
    scene.come_to_rest()


@pytest.mark.slow
@pytest.mark.parametrize("descending", tiered([True, False]))
@pytest.mark.parametrize("limit", tiered([4, 1, 100]))
def test_answers_that_come_in_pieces_are_put_together(scene: Scene, limit: int, descending: bool) -> None:
    images = scene.images_with(InPieces(scene.dynamodb))
    made = [
        an_image(
            status=[Status.READY, Status.FAILED, Status.READY][number % 3],
            tags=["sea"] if number % 2 else ["hill", "sea"],
            work={},
        )
        for number in range(14)
    ]
    for image in made:
        images.create(image, claim=False)
    made.sort(key=lambda image: image.id, reverse=descending)
    bounds = {"since": min(made, key=lambda image: image.id).id, "until": max(made, key=lambda image: image.id).id}

    def expect(**fields: Any) -> list[str]:
        return [image.id for image in walk(images, ListQuery(OWNER, limit, descending, **fields))]

    assert expect() == [image.id for image in made]
    assert expect(tags=("sea",), status=Status.FAILED) == [image.id for image in made if image.status is Status.FAILED]
    hills = [image.id for image in made if "hill" in image.tags and image.status is Status.READY]
    assert expect(tags=("hill",), status=Status.READY, content_type="image/jpeg") == hills
    assert expect(tags=("hill",), content_type="image/png") == []
    assert expect(**bounds) == [image.id for image in made if image.id != bounds["until"]]
    assert unfinished(images) == set()
    assert sorted(images.owned(OWNER)) == sorted(image.id for image in made)


@pytest.mark.slow
def test_unfinished_work_comes_in_pieces_too(scene: Scene) -> None:
    images = scene.images_with(InPieces(scene.dynamodb))
    now = utcnow()

    def made(count: int, since: datetime, hours: int) -> list[str]:
        tasks = [Work(since=since, due=since + timedelta(hours=hours, minutes=number)) for number in range(count)]
        return [stored(images, claim=False, status=Status.READY, work={Task.SWEEP: task}).id for task in tasks]

    due, distant = made(20, now, -1), made(5, now - timedelta(days=40), 39 * 24)
    implausible = made(5, now + timedelta(days=900), 1)
    made(5, now, 24)
    made(5, now, 48)
    assert list(images.due(now)) == distant + due + implausible  # the earliest first, of all partitions
    for image_id in images.due(now + timedelta(days=1000)):
        images.remove(image_id, 1)
    assert unrest(scene.side) == []


def test_a_scan_comes_in_pieces(scene: Scene) -> None:
    class Pages(Through):
        """Scans of two items at most, of which a page may hold no record."""

        def scan(self, **arguments: Any) -> dict[str, Any]:
            answer: dict[str, Any] = self._client.scan(**arguments, Limit=2)
            return answer

    images = scene.images_with(Pages(scene.dynamodb))
    made = [stored(images, claim=False, tags=["a", "b", "c"]) for _ in range(5)]
    images.delete(made[0].id, 1, tombstone_of(made[0]))
    assert sorted(images.scan(), key=lambda image: image.id) == made[1:]
