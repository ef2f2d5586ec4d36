"""A database on a full disk: what frees space works, in the space of the reserve file."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.adapters.sqlite import Database, SqliteImages, SqliteQueue
from app.domain.errors import Full, Unavailable
from app.domain.work import Task
from tests.contract.records import an_image, stored, tombstone_of

MEBIBYTE = 1024 * 1024
SIZE = 256 * 1024
RESERVE = "darkroom.db-reserve"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "darkroom.db", reserve_bytes=SIZE, min_free_bytes=1)


def free(monkeypatch: pytest.MonkeyPatch, size: int, flag: int = 0) -> None:
    status = SimpleNamespace(f_bavail=size, f_frsize=1, f_files=0, f_favail=0, f_flag=flag)
    monkeypatch.setattr(os, "statvfs", lambda _: status)


def full_while_reserved(folder: Path, calls: list[None]) -> Callable[[], str]:
    """An operation for which there is space only when the reserve has been given up."""

    def operation() -> str:
        calls.append(None)
        if (folder / RESERVE).exists():
            raise Full("no space")
        return "done"

    return operation


def test_the_reserve_is_made_at_the_opening_and_for_its_owner_alone(database: Database, tmp_path: Path) -> None:
    status = (tmp_path / RESERVE).stat()
    assert (status.st_size, status.st_mode & 0o077) == (SIZE, 0)
    assert status.st_blocks * 512 >= SIZE


def test_writes_that_free_space_are_repeated_in_the_reserve(database: Database, tmp_path: Path) -> None:
    calls: list[None] = []
    assert database.freeing(full_while_reserved(tmp_path, calls)) == "done"
    assert len(calls) == 2
    assert not (tmp_path / RESERVE).exists()
    database.fill_reserve()
    assert (tmp_path / RESERVE).stat().st_size == SIZE


def test_without_a_reserve_a_full_disk_is_full(database: Database, tmp_path: Path) -> None:
    (tmp_path / RESERVE).unlink()
    calls: list[None] = []

    def operation() -> None:
        calls.append(None)
        raise Full("no space")

    with pytest.raises(Full):
        database.freeing(operation)
    assert len(calls) == 1


def test_a_reserve_that_is_not_whole_is_made_anew(database: Database, tmp_path: Path) -> None:
    (tmp_path / RESERVE).write_bytes(b"killed while it was written")
    Database(tmp_path / "darkroom.db", reserve_bytes=SIZE)
    assert (tmp_path / RESERVE).stat().st_size == SIZE


def test_no_reserve_is_taken_from_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 4 * SIZE - 1)
    database = Database(tmp_path / "darkroom.db", reserve_bytes=SIZE)
    assert not (tmp_path / RESERVE).exists()
    free(monkeypatch, 4 * SIZE)
    database.fill_reserve()
    assert (tmp_path / RESERVE).exists()


def test_the_database_itself_says_that_it_is_full(database: Database) -> None:
    images = SqliteImages(database)
    stored(images)
    with database.reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(10):  # pages that are half empty take a few more
        try:
            stored(images, title="x" * 4000)
        except Full:
            return
    pytest.fail("it was never full")


def test_below_the_wanted_space_no_record_is_made_and_everything_else_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path / "darkroom.db", min_free_bytes=256 * MEBIBYTE)
    images, queue = SqliteImages(database), SqliteQueue(database, 30, 3)
    image, other = stored(images), stored(images)
    free(monkeypatch, 256 * MEBIBYTE - 1)
    refused = an_image()
    with pytest.raises(Full):
        images.create(refused, claim=True)
    assert images.get(refused.id) is None
    for ping in (database.ping, images.ping, queue.ping):
        with pytest.raises(Full):
            ping()
    image = images.update(image.id, image.version, {"title": "in progress"})
    queue.send("an event")
    (message,) = queue.receive()
    queue.delete(message.receipt)
    images.delete(image.id, image.version, tombstone_of(image))
    images.update_tombstone(image.id, {Task.PURGE: None})
    images.remove(other.id, other.version)
    free(monkeypatch, 256 * MEBIBYTE)
    images.create(refused, claim=True)
    database.ping()


def test_a_disk_that_takes_no_writes_is_not_ready(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 10 * MEBIBYTE, flag=os.ST_RDONLY)
    with pytest.raises(Unavailable, match="Read-only"):
        database.ping()


@pytest.mark.parametrize("call", ["delete", "update_tombstone", "remove"])
def test_every_step_of_a_delete_may_use_the_reserve(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    images = SqliteImages(database)
    image = stored(images)
    tombstone = tombstone_of(image)
    if call == "update_tombstone":
        images.delete(image.id, image.version, tombstone)
    steps: dict[str, Callable[[], None]] = {
        "delete": lambda: images.delete(image.id, image.version, tombstone),
        "update_tombstone": lambda: images.update_tombstone(image.id, {Task.PURGE: None}),
        "remove": lambda: images.remove(image.id, image.version),
    }
    writing = database.writing

    def full() -> Any:
        if (tmp_path / RESERVE).exists():
            raise Full("no space")
        return writing()

    monkeypatch.setattr(database, "writing", full)
    with pytest.raises(Full):
        images.create(an_image(), claim=False)
    steps[call]()
    finished = tombstone.model_copy(update={"work": {}})
    assert images.get(image.id) == {"delete": tombstone, "update_tombstone": finished, "remove": None}[call]
