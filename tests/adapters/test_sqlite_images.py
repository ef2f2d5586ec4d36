"""Corners of the records in SQLite: how lists are walked, and what an update leaves alone."""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from app.adapters.sqlite import Database, SqliteImages, SqliteQueue
from app.domain.models import Status
from tests.contract.records import FULL, a_query, an_image, stored, tombstone_of


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "darkroom.db")
    yield opened
    opened.close()


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
        for status, tag, content_type, since, until, after in itertools.product(
            (None, Status.READY), (None, "a"), (None, "image/jpeg"), *[(None, middle)] * 3
        ):
            images.list(
                a_query(
                    descending=descending,
                    status=status,
                    tag=tag,
                    content_type=content_type,
                    since=since,
                    until=until,
                    after=after,
                )
            )
    assert len(watched.statements) >= 64
    assert_only_searches(watched.plans())


def test_nothing_else_sorts_or_scans_either(database: Database, images: SqliteImages) -> None:
    queue = SqliteQueue(database, 30, 1)
    first, second = stored(images), stored(images)
    with Watched(database) as watched:
        third = stored(images, tags=["a"])
        images.claim(third)
        images.update(third.id, 1, {"tags": ["b"]})
        images.bury(third.id, 2, tombstone_of(third))
        images.settle(third.id)
        images.remove(second.id, 1)
        assert list(images.unsettled()) == [first.id]
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
    both = work(tag="rare", status=Status.PENDING)
    assert both < first * 20, "the common filter was walked, not the rare one"
    assert both <= work(status=Status.PENDING) + work(tag="rare") * 20


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


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"owner": "bob"},
        {"version": 7},
        {"colour": "red"},
        {"width": "wide"},
        {"exif": {"F": float("nan")}},
    ],
    ids=str,
)
def test_what_a_record_cannot_have_is_not_written(images: SqliteImages, changes: dict[str, object]) -> None:
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
    images.bury(image.id, 1, tombstone_of(image))
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
        images.bury(image.id, 1, tombstone_of(image, seconds=seconds))
        images.settle(image.id)
    with database.reading() as connection:
        assert connection.execute("SELECT id FROM images").fetchall() == [(image.id,)]


def test_an_expired_tombstone_counts_from_the_moment_it_expires(images: SqliteImages) -> None:
    image = stored(images)
    images.bury(image.id, 1, tombstone_of(image, seconds=0.5))
    images.settle(image.id)
    assert images.get(image.id) is not None
    end = time.monotonic() + 5
    while images.get(image.id) is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert images.get(image.id) is None
