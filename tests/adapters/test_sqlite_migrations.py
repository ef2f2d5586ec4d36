"""Databases of earlier versions, brought to the newest schema when they are opened."""

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.sqlite import Database, SqliteImages
from app.adapters.sqlite.schema import APPLICATION_ID, MIGRATIONS
from app.domain.images.stats import add_up
from app.domain.models import Format, Image, Status, Tombstone, Variant, utcnow
from tests.contract.records import FULL, OWNER, an_image, tombstone_of

LONG_AGO = utcnow() - timedelta(days=60)


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    """An empty database as the first schema made it."""
    file = tmp_path / "darkroom.db"
    connection = sqlite3.connect(file)
    connection.executescript(MIGRATIONS[0])
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    return file


def add(file: Path, record: Image | Tombstone) -> None:
    """Write a row as the first version did: tickets and tombstones expired by themselves."""
    buried = isinstance(record, Tombstone)
    unsettled = bool(record.work)
    expires_at = record.expires_at if isinstance(record, Tombstone) else record.upload_expires_at
    names = {"arrived_at", "work", "superseded", "visibility", "placed", "reprocess_error"}
    document = {**record.model_dump(mode="json", exclude=names), "expires_at": expires_at and str(expires_at)}
    if isinstance(record, Tombstone):
        document["settled"] = record.is_finished
    with sqlite3.connect(file) as connection:
        connection.execute(
            "INSERT INTO images (id, document, buried, unsettled, expires_at) VALUES (?, ?, ?, ?, ?)",
            (record.id, json.dumps(document), buried, unsettled, expires_at and expires_at.timestamp()),
        )
    connection.close()


def test_tickets_and_unfinished_deletes_of_the_first_version_expire_no_more(first_version: Path) -> None:
    ticket, image = an_image(upload_expires_at=LONG_AGO), an_image()
    unfinished = tombstone_of(an_image(), seconds=-3600)
    finished = tombstone_of(an_image(), seconds=-3600).model_copy(update={"work": {}})
    for record in (ticket, image, unfinished, finished):
        add(first_version, record)
    database = Database(first_version)
    images = SqliteImages(database)
    assert [images.get(record.id) for record in (ticket, image, unfinished, finished)] == [
        ticket, image, unfinished, None,
    ]  # fmt: skip
    assert set(images.due(utcnow())) == {ticket.id, image.id, unfinished.id}
    assert len(images.open_tickets(OWNER, 10)) == 1
    images.remove(ticket.id, 1)
    assert len(images.open_tickets(OWNER, 10)) == 0
    database.close()


def test_images_of_the_first_version_are_counted(first_version: Path) -> None:
    def variant(name: str, width: int, size: int, form: Format = Format.WEBP, file: str = "") -> Variant:
        return Variant(name=name, format=form, width=width, height=width, bytes=size, file=file or f"{name}.{form}")

    variants = [
        variant("w320", 320, 40),
        variant("w640", 640, 90, Format.JPEG),
        variant("w640", 640, 70),
        variant("w1280", 640, 70, file="w640.webp"),  # the same file under two names
    ]
    shown = {"status": Status.READY, "work": {}, "variants": variants}
    records = [
        an_image(**shown, recipe_id="aaaaaaaaaaaa", bytes=1000),
        an_image(**shown, recipe_id="aaaaaaaaaaaa", bytes=50),  # smaller than its variants
        an_image(**shown, owner="bob", bytes=500),
        an_image(status=Status.READY, work={}, owner="bob"),
        an_image(**FULL | {"owner": "bob", "upload_expires_at": None, "trashed_at": None}),
        an_image(**{**shown, "recipe_id": "bbbbbbbbbbbb"}, trashed_at=LONG_AGO),
        an_image(upload_expires_at=LONG_AGO),
        an_image(),
    ]
    for record in [*records, tombstone_of(an_image())]:
        add(first_version, record)
    database = Database(first_version)
    counters = SqliteImages(database).counters
    assert {each.owner: each.counts for each in counters.list(9)} == add_up((None, record) for record in records)
    database.close()
