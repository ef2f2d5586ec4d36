"""Corners of the records in SQLite: how lists are walked, and what an update leaves alone."""

import itertools
import json
import time
from datetime import timedelta
from typing import Any, Self

import pytest

from app.adapters.sqlite import Database, SqliteImages, SqliteQueue
from app.adapters.sqlite.images import insert
from app.domain.models import Image, Status, Visibility, utcnow
from app.domain.ports import ImageRepository
from app.domain.work import Task, Work
from tests.contract.records import FULL, OWNER, a_query, an_image, stored, tombstone_of


@pytest.fixture
def images(database: Database) -> SqliteImages:
    return SqliteImages(database)


class Watched:
    """Every statement that ran while it was watched, as SQLite saw it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements: list[str] = []

    def __enter__(self) -> Self:
        with self._database.reading() as connection:  # the pool's only one, so the next calls have it too
            connection.set_trace_callback(self.statements.append)
        return self

    def __exit__(self, *_: object) -> None:
        with self._database.reading() as connection:
            connection.set_trace_callback(None)

    def plans(self) -> list[str]:
        """Each step of each statement's plan."""
        with self._database.reading() as connection:
            return [
                step[3]
                for statement in self.statements
                if statement.split()[0] in {"SELECT", "UPDATE", "DELETE", "INSERT"}
                for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            ]


def assert_only_searches(plans: list[str]) -> None:
    assert plans
    assert [step for step in plans if step.startswith("SCAN") or "TEMP B-TREE" in step or "AUTOMATIC" in step] == []


@pytest.mark.parametrize("descending", [True, False])
def test_no_list_sorts_or_scans(database: Database, images: SqliteImages, descending: bool) -> None:
    made = [stored(images, tags=["a"], status=Status.READY) for _ in range(5)]
    middle = made[2].id
    with Watched(database) as watched:
        for status, tags, content_type, visibility, trashed, since, until, after in itertools.product(
            (None, Status.READY),
            ((), ("a",), ("a", "b")),
            (None, "image/jpeg"),
            (None, Visibility.PUBLIC),
            (False, True),
            *[(None, middle)] * 3,
        ):
            images.list(
                a_query(
                    descending=descending,
                    status=status,
                    tags=tags,
                    content_type=content_type,
                    visibility=visibility,
                    trashed=trashed,
                    since=since,
                    until=until,
                    after=after,
                )
            )
    assert len(watched.statements) >= 384
    assert_only_searches(watched.plans())


def test_nothing_else_sorts_or_scans_either(database: Database, images: SqliteImages) -> None:
    queue = SqliteQueue(database, 30, 1)
    first, second = stored(images), stored(images)
    with Watched(database) as watched:
        third = stored(images, tags=["a"])
        images.claim(third)
        images.update(third.id, 1, {"tags": ["b"]})
        images.delete(third.id, 2, tombstone_of(third))
        images.update_tombstone(third.id, {Task.PURGE: None})
        images.remove(second.id, 1)
        assert list(images.due(utcnow() + timedelta(hours=1))) == [first.id]
        assert list(images.owned(OWNER)) == [first.id]
        assert [image.id for image in images.scan(third.id)] == []
        queue.send("x")
        (message,) = queue.receive(10)
        queue.release(message.receipt)
        queue.delete(message.receipt)
        queue.dead_letters()
        queue.redrive()
    plans = [step for step in watched.plans() if "messages_dead" not in step]  # counting them walks their own index
    assert_only_searches(plans)


def test_pages_deep_in_a_list_do_as_much_work_as_the_first(database: Database, images: SqliteImages) -> None:
    for number in range(600):
        stored(images, tags=["rare"] if number % 50 == 0 else [], claim=False)

    def work(**fields: object) -> int:
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        with database.reading() as connection:
            connection.set_progress_handler(count, 10)
        page = images.list(a_query(limit=5, **fields))
        with database.reading() as connection:
            connection.set_progress_handler(None, 0)
        assert len(page.items) == 5
        return steps

    everything = [image.id for image in images.list(a_query(limit=600)).items]
    first, deep = work(), work(after=everything[590])
    assert deep <= first * 1.5
    both = work(tags=("rare",), status=Status.PENDING)
    assert both < first * 20, "the common filter was walked, not the rare one"
    assert both <= work(status=Status.PENDING) + work(tags=("rare",)) * 20


def test_an_update_keeps_fields_that_only_a_newer_service_knows(database: Database, images: SqliteImages) -> None:
    image = stored(images)
    with database.writing() as connection:
        (document,) = connection.execute("SELECT document FROM images").fetchone()
        document = json.dumps(json.loads(document) | {"later": {"x": 1}})
        connection.execute("UPDATE images SET document = ?", (document,))
    images.update(image.id, 1, {"title": "new"})
    with database.reading() as connection:
        (document,) = connection.execute("SELECT document FROM images").fetchone()
    assert json.loads(document)["later"] == {"x": 1}
    assert json.loads(document)["title"] == "new"


def document_of(database: Database, image_id: str) -> dict[str, Any]:
    with database.reading() as connection:
        (document,) = connection.execute("SELECT document FROM images WHERE id = ?", (image_id,)).fetchone()
    return json.loads(document)  # type: ignore[no-any-return]


def write_document(database: Database, image_id: str, document: dict[str, Any]) -> None:
    with database.writing() as connection:
        connection.execute("UPDATE images SET document = ? WHERE id = ?", (json.dumps(document), image_id))


def test_tasks_that_only_a_newer_service_knows_stay_and_stay_due(database: Database, images: SqliteImages) -> None:
    image, gone = stored(images), stored(images)
    images.delete(gone.id, 1, tombstone_of(gone, seconds=-10))
    later = {"since": "2026-01-01T00:00:00Z", "due": "2026-01-01T01:00:00Z", "tries": 1, "more": [1]}
    for image_id in (image.id, gone.id):
        document = document_of(database, image_id)
        process = document["work"].get("process", {}) | {"more": "x"}
        write_document(database, image_id, document | {"work": document["work"] | {"later": later, "sweep": process}})
    write_document(database, gone.id, document_of(database, gone.id) | {"work": {"later": later}})
    found = images.get(image.id)
    assert isinstance(found, Image)
    assert set(found.work) == {Task.PROCESS, Task.SWEEP}
    updated = images.update(image.id, 1, {"title": "new", "work": {Task.PROCESS: None, Task.HIDE: Work.add(utcnow())}})
    assert set(updated.work) == {Task.SWEEP, Task.HIDE}
    work = document_of(database, image.id)["work"]
    assert set(work) == {"sweep", "hide", "later"}
    assert (work["later"], work["sweep"]["more"]) == (later, "x")
    images.update_tombstone(gone.id, {Task.PURGE: None})
    assert document_of(database, gone.id)["work"] == {"later": later}
    assert images.get(gone.id) is not None, "it expires only when its work is finished"
    assert set(images.due(utcnow())) == {image.id, gone.id}


def test_due_records_are_yielded_the_earliest_first_and_others_last(images: ImageRepository) -> None:
    now = utcnow()
    hours = [-3, -24, -1, 24_000, -2, 36_000]
    made = {
        number: stored(images, status=Status.READY, work={Task.HIDE: Work.add(now + timedelta(hours=number))}).id
        for number in hours
    }
    assert list(images.due(now)) == [made[number] for number in (-24, -3, -2, -1, 24_000, 36_000)]


def test_a_task_that_is_due_moments_later_is_not_due(images: ImageRepository) -> None:
    due = utcnow()
    image = stored(images, status=Status.READY, work={Task.HIDE: Work(since=due, due=due)})
    assert list(images.due(due)) == [image.id]
    assert list(images.due(due - timedelta(microseconds=1))) == []


def test_a_distant_task_hides_no_implausible_one(images: ImageRepository) -> None:
    now = utcnow()
    distant = Work.add(now, timedelta(days=30))
    implausible = Work.add(now + timedelta(days=1000))
    image = stored(images, status=Status.READY, work={Task.PURGE: distant, Task.HIDE: implausible})
    assert list(images.due(now)) == [image.id]
    images.update(image.id, 1, {"work": {Task.HIDE: None}})
    assert list(images.due(now)) == []


def test_walks_go_on_after_the_records_that_one_statement_reads(database: Database, images: SqliteImages) -> None:
    now = utcnow()
    made = [an_image(work={Task.HIDE: Work.add(now)}) for _ in range(1001)]
    with database.writing() as connection:
        for image in made:
            insert(connection, image)
    expected = [image.id for image in made]
    assert list(images.due(now)) == list(images.owned(OWNER)) == expected
    assert list(images.scan()) == made
    assert list(images.scan(made[0].id)) == made[1:]
    walk = images.due(now)
    assert next(walk) == expected[0]
    with Watched(database) as watched:  # the connection is idle while the caller works
        assert images.get(expected[0]) is not None
    assert len(watched.statements) == 1
    images.remove_all(made[1:])
    assert len(list(walk)) < 500


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"owner": "bob"},
        {"version": 7},
        {"color": "red"},
        {"width": "wide"},
        {"exif": {"F": float("nan")}},
        {"work": {Task.HIDE: {"since": "yesterday"}}},
    ],
    ids=str,
)
def test_invalid_fields_are_not_written(images: SqliteImages, changes: dict[str, object]) -> None:
    image = stored(images)
    with pytest.raises(ValueError, match=r"."):
        images.update(image.id, 1, changes)
    assert images.get(image.id) == image


def test_a_claim_needs_bytes_that_are_known(images: SqliteImages) -> None:
    image = an_image(sha256=None)
    with pytest.raises(ValueError, match="bytes are not known"):
        images.create(image, claim=True)
    assert images.get(image.id) is None


def test_a_record_that_is_gone_claims_nothing(images: SqliteImages) -> None:
    image = stored(images)
    images.delete(image.id, 1, tombstone_of(image))
    assert images.claim(image) is False
    assert images.find_hash(image.owner, image.sha256 or "") is None


def test_nothing_of_a_removed_record_stays_in_any_table(database: Database, images: SqliteImages) -> None:
    image = stored(images, **FULL)
    images.remove(image.id, 1)
    with database.reading() as connection:
        for table in ("images", "entries", "hashes"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_expired_tombstones_are_forgotten_when_others_are_made(database: Database, images: SqliteImages) -> None:
    for seconds in (-10, -1, 3600):
        image = stored(images)
        images.delete(image.id, 1, tombstone_of(image, seconds=seconds))
        images.update_tombstone(image.id, {Task.PURGE: None})
    with database.reading() as connection:
        assert connection.execute("SELECT id FROM images").fetchall() == [(image.id,)]


def test_an_expired_tombstone_counts_from_the_moment_it_expires(images: SqliteImages) -> None:
    image = stored(images)
    tombstone = tombstone_of(image, seconds=0.5)
    images.delete(image.id, 1, tombstone)
    images.update_tombstone(image.id, {Task.PURGE: None})
    assert images.get(image.id) is not None or utcnow() >= tombstone.expires_at
    end = time.monotonic() + 60
    while images.get(image.id) is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert images.get(image.id) is None
