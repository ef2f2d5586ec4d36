"""Records as JSON documents, with their index entries and hash pointers."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from app.adapters.sqlite import documents, walks
from app.adapters.sqlite.counters import SqliteCounters, check_quota
from app.adapters.sqlite.database import Database
from app.adapters.sqlite.delivery.outbox import note_change
from app.adapters.sqlite.entries import (
    OPEN_TICKET,
    add_entries,
    claim_bytes,
    drop_all,
    drop_entries,
    find_copies,
    find_holder,
    find_ticket,
    forget_expired,
    index_entries,
    missing_entries,
    note_copy,
    point,
)
from app.adapters.sqlite.listing import page
from app.domain.delivery.events import EventSource
from app.domain.errors import AlreadyExists, HashTaken, Stale
from app.domain.models import UPDATABLE, Image, Tombstone
from app.domain.ports import ListQuery, Page, StoredImage
from app.domain.quota.usage import NO_QUOTA, Quota
from app.domain.work import Task, Work

_BATCH = 500
_NO_ADDRESS = EventSource()


class SqliteImages:
    """`ImageRepository` in a `Database`. Lists are always up to date. `events` builds those of webhooks."""

    def __init__(self, database: Database, events: EventSource = _NO_ADDRESS) -> None:
        self._database = database
        self._events = events
        self.counters = SqliteCounters(database)

    def create(self, image: Image, *, claim: bool, replaces: str | None = None, quota: Quota = NO_QUOTA) -> None:
        """See `ImageRepository.create`."""
        self._database.check_space()
        with self._database.writing() as connection:
            if _row(connection, image.id) is not None:
                raise AlreadyExists(image.id)
            if claim and (holder := claim_bytes(connection, image, replaces)) != image.id:
                raise HashTaken(holder)
            check_quota(connection, image, quota)
            insert(connection, image, self._events)

    def claim(self, image: Image) -> bool:
        """See `ImageRepository.claim`. A deleted record does not claim its bytes."""
        with self._database.writing() as connection:
            row = _row(connection, image.id)
            if row is None or row[1]:
                return False
            is_holder = point(connection, image, image.id) == image.id
            note_copy(connection, image, is_holder=is_holder)
            return is_holder

    def get(self, image_id: str) -> Image | Tombstone | None:
        """See `ImageRepository.get`."""
        with self._database.reading() as connection:
            row = _row(connection, image_id)
        if row is None:
            return None
        document, buried = row
        return Tombstone.model_validate_json(document) if buried else Image.model_validate_json(document)

    def find_owner(self, image_id: str) -> str | None:
        """Return the owner of a record or tombstone, or None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT json_extract(document, '$.owner') FROM images WHERE id = ?", (image_id,)
            ).fetchone()
        return None if row is None else str(row[0])

    def get_stored(self, image_id: str) -> StoredImage | None:
        """See `ImageRepository.get_stored`."""
        with self._database.reading() as connection:
            row = _row(connection, image_id)
        return None if row is None or row[1] else documents.StoredDocument(row[0])

    def get_many(self, image_ids: Collection[str]) -> Mapping[str, Image]:
        """See `ImageRepository.get_many`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, document FROM images WHERE buried = 0 AND id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(image_ids)),),
            ).fetchall()
        return {image_id: Image.model_validate_json(document) for image_id, document in rows}

    def versions(self, image_ids: Collection[str]) -> Mapping[str, int]:
        """See `ImageRepository.versions`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, json_extract(document, '$.version') FROM images"
                " WHERE buried = 0 AND id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(image_ids)),),
            )
            return dict(rows.fetchall())

    def find_hash(self, owner: str, sha256: str) -> str | None:
        """See `ImageRepository.find_hash`."""
        with self._database.reading() as connection:
            return find_holder(connection, owner, sha256)

    def find_copies(self, owner: str, hashes: Collection[str]) -> Mapping[str, Sequence[str]]:
        """See `ImageRepository.find_copies`."""
        with self._database.reading() as connection:
            found = {sha256: find_copies(connection, owner, sha256) for sha256 in hashes}
        return {sha256: copies for sha256, copies in found.items() if copies}

    def find_hashes(self, owner: str, hashes: Collection[str]) -> Mapping[str, str]:
        """See `ImageRepository.find_hashes`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT sha256, image FROM hashes WHERE owner = ? AND sha256 IN (SELECT value FROM json_each(?))",
                (owner, json.dumps(list(hashes))),
            )
            return dict(rows.fetchall())

    def find_ticket(self, owner: str, sha256: str) -> str | None:
        """See `ImageRepository.find_ticket`. Always the newest."""
        with self._database.reading() as connection:
            return find_ticket(connection, owner, sha256)

    def find_bands(self, owner: str, bands: Collection[str], limit: int) -> Iterator[Sequence[tuple[str, str]]]:
        """See `ImageRepository.find_bands`."""
        return walks.bands(self._database, owner, bands, limit)

    def update(self, image_id: str, expected_version: int, changes: Mapping[str, Any]) -> Image:
        """See `ImageRepository.update`. Raises `ValueError` for a field or a value that a record cannot have."""
        if foreign := set(changes) - UPDATABLE:
            raise ValueError(f"not fields to be updated: {', '.join(sorted(foreign))}")
        with self._database.writing() as connection:
            document, before = _current(connection, image_id, expected_version)
            document, columns, after = documents.changed_record(document, before, changes)
            connection.execute(
                "UPDATE images SET document = ?, due = ?, distant = ? WHERE id = ?", (document, *columns, image_id)
            )
            old, new = index_entries(before), index_entries(after)
            drop_entries(connection, before, old - new)
            add_entries(connection, after, new - old)
            note_change(connection, self._events, before, after)
        return after

    def reindex(self, image: Image) -> bool:
        """See `ImageRepository.reindex`. Migrations add all entries, so usually there is nothing to write."""
        with self._database.reading() as connection:
            _, current = _current(connection, image.id, image.version)
            if not missing_entries(connection, current):
                return False
        with self._database.writing() as connection:
            _, current = _current(connection, image.id, image.version)
            missing = missing_entries(connection, current)
            add_entries(connection, current, missing)
        return bool(missing)

    def delete(self, image_id: str, expected_version: int, tombstone: Tombstone) -> None:
        """See `ImageRepository.delete`. Works on a full disk."""
        self._database.freeing(lambda: self._delete(image_id, expected_version, tombstone))

    def _delete(self, image_id: str, expected_version: int, tombstone: Tombstone) -> None:
        with self._database.writing() as connection:
            _, image = _current(connection, image_id, expected_version)
            _drop(connection, image, self._events)
            document = tombstone.model_dump_json()
            due, distant = documents.due_columns(document)
            connection.execute(
                "INSERT INTO images (id, document, buried, due, distant, expires_at) VALUES (?, ?, 1, ?, ?, ?)",
                (image_id, document, due, distant, documents.expiry(tombstone, due)),
            )
            forget_expired(connection)

    def update_tombstone(self, image_id: str, work: Mapping[Task, Work | None]) -> None:
        """See `ImageRepository.update_tombstone`. Works on a full disk."""
        self._database.freeing(lambda: self._update_tombstone(image_id, work))

    def _update_tombstone(self, image_id: str, work: Mapping[Task, Work | None]) -> None:
        with self._database.writing() as connection:
            row = _row(connection, image_id)
            if row is None or not row[1]:
                return
            document = documents.changed_tombstone(row[0], work)
            due, distant = documents.due_columns(document)
            connection.execute(
                "UPDATE images SET document = ?, due = ?, distant = ?, expires_at = ? WHERE id = ?",
                (document, due, distant, documents.expiry(Tombstone.model_validate_json(document), due), image_id),
            )

    def remove(self, image_id: str, expected_version: int) -> None:
        """See `ImageRepository.remove`. Works on a full disk."""
        self._database.freeing(lambda: self._remove(image_id, expected_version))

    def _remove(self, image_id: str, expected_version: int) -> None:
        with self._database.writing() as connection:
            _, image = _current(connection, image_id, expected_version)
            _drop(connection, image, self._events)

    def remove_all(self, images: Sequence[Image]) -> set[str]:
        """See `ImageRepository.remove_all`."""
        removed: set[str] = set()
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            removed |= self._database.freeing(partial(self._remove_batch, batch))
        return removed

    def _remove_batch(self, images: Sequence[Image]) -> set[str]:
        removed = set()
        with self._database.writing() as connection:
            for image in images:
                with contextlib.suppress(Stale):
                    _, current = _current(connection, image.id, image.version)
                    _drop(connection, current, self._events)
                    removed.add(image.id)
        return removed

    def open_tickets(self, owner: str, limit: int) -> Sequence[str]:
        """See `ImageRepository.open_tickets`. Exact."""
        statement = "SELECT image FROM entries WHERE owner = ? AND kind = ? AND value = ? ORDER BY image LIMIT ?"
        with self._database.reading() as connection:
            return [image_id for (image_id,) in connection.execute(statement, (owner, *OPEN_TICKET, limit))]

    def list_stored(self, query: ListQuery) -> Page[StoredImage]:
        """See `ImageRepository.list_stored`."""
        with self._database.reading() as connection:
            return page(connection, query)

    def list(self, query: ListQuery) -> Page[Image]:
        """See `ImageRepository.list`."""
        found = self.list_stored(query)
        return Page([each.read() for each in found.items], found.next_after)

    def due(self, until: datetime) -> Iterator[str]:
        """See `ImageRepository.due`."""
        return walks.due(self._database, until)

    def owned(self, owner: str) -> Iterator[str]:
        """See `ImageRepository.owned`. Exact."""
        return walks.owned(self._database, owner)

    def scan(self, after: str | None = None) -> Iterator[Image]:
        """See `ImageRepository.scan`."""
        return walks.scan(self._database, after)

    def ping(self) -> None:
        """See `ImageRepository.ping`."""
        self._database.ping()


def insert(connection: sqlite3.Connection, image: Image, events: EventSource = _NO_ADDRESS) -> None:
    """Write a new record with its entries, within the open transaction."""
    connection.execute("DELETE FROM images WHERE id = ?", (image.id,))  # an expired tombstone
    connection.execute(
        "INSERT INTO images (id, document, due, distant) VALUES (?, ?, ?, ?)",
        (image.id, image.model_dump_json(), *documents.columns_of(image.work.values())),
    )
    add_entries(connection, image, index_entries(image))
    note_change(connection, events, None, image)


def _row(connection: sqlite3.Connection, image_id: str) -> tuple[str, bool] | None:
    """Return the document under an id and whether it is a tombstone; None if there is none or it has expired."""
    row: tuple[str, bool] | None = connection.execute(
        "SELECT document, buried FROM images WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)",
        (image_id, time.time()),
    ).fetchone()
    return row


def _current(connection: sqlite3.Connection, image_id: str, expected_version: int) -> tuple[str, Image]:
    row = _row(connection, image_id)
    if row is None or row[1]:
        raise Stale(image_id)
    image = Image.model_validate_json(row[0])
    if image.version != expected_version:
        raise Stale(image_id)
    return row[0], image


def _drop(connection: sqlite3.Connection, image: Image, events: EventSource) -> None:
    """Remove the record with its entries and hash pointer."""
    connection.execute("DELETE FROM images WHERE id = ?", (image.id,))
    drop_all(connection, image)
    note_change(connection, events, image, None)
