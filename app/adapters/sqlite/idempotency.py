"""`IdempotencyKeys` in a SQLite table."""

import sqlite3
from datetime import datetime

from app.adapters.sqlite.database import Database
from app.domain.models import utcnow
from app.domain.times import CLOCK_SLACK
from app.domain.uploads.idempotency import KEY_LIFE, KeyEntry

#: Expired entries that each new one removes: more than it adds, so that the table stays as large as a day's keys.
_REMOVED_AT_ONCE = 100


class SqliteIdempotencyKeys:
    """Entries in a `Database`, as JSON documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, entry: KeyEntry) -> KeyEntry | None:
        """See `IdempotencyKeys.create`."""
        now = utcnow()
        with self._database.writing() as connection:
            found = _find(connection, entry)
            if found is not None and not found.has_expired(now):
                return found
            self._database.check_space()
            _remove_expired(connection, now)
            _write(connection, entry)
        return None

    def replace(self, old: KeyEntry, new: KeyEntry) -> bool:
        """See `IdempotencyKeys.replace`."""
        with self._database.writing() as connection:
            found = _find(connection, old)
            if found is None or found.attempt != old.attempt:
                return False
            _write(connection, new)
        return True

    def remove(self, old: KeyEntry) -> None:
        """See `IdempotencyKeys.remove`. Works on a full disk."""
        self._database.freeing(lambda: self._remove(old))

    def _remove(self, old: KeyEntry) -> None:
        with self._database.writing() as connection:
            connection.execute(
                "DELETE FROM idempotency_keys WHERE owner = ? AND key = ? AND json_extract(document, '$.attempt') = ?",
                (old.owner, old.key, old.attempt),
            )


def _find(connection: sqlite3.Connection, entry: KeyEntry) -> KeyEntry | None:
    row = connection.execute(
        "SELECT document FROM idempotency_keys WHERE owner = ? AND key = ?", (entry.owner, entry.key)
    ).fetchone()
    return KeyEntry.model_validate_json(row[0]) if row else None


def _write(connection: sqlite3.Connection, entry: KeyEntry) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO idempotency_keys (owner, key, document, expires_at) VALUES (?, ?, ?, ?)",
        (entry.owner, entry.key, entry.model_dump_json(), entry.expires_at.timestamp()),
    )


def _remove_expired(connection: sqlite3.Connection, now: datetime) -> None:
    latest = now + KEY_LIFE + CLOCK_SLACK
    connection.execute(
        "DELETE FROM idempotency_keys WHERE (owner, key) IN"
        " (SELECT owner, key FROM idempotency_keys WHERE expires_at <= ? OR expires_at > ? LIMIT ?)",
        (now.timestamp(), latest.timestamp(), _REMOVED_AT_ONCE),
    )
