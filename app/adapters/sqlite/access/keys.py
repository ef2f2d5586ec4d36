"""`KeyStore` in a SQLite table."""

import sqlite3
from collections.abc import Sequence
from datetime import date

from app.adapters.sqlite.database import Database
from app.domain.access.stored_keys import StoredKey
from app.domain.errors import AlreadyExists, Missing, Stale

_COLUMNS = "document, last_used"


class SqliteKeys:
    """API keys in a `Database`, as JSON documents. `last_used` is a column of its own, which has no version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, key: StoredKey) -> None:
        """See `KeyStore.create`."""
        with self._database.writing() as connection:
            if _find(connection, key.id) is not None:
                raise AlreadyExists(key.id)
            connection.execute("INSERT INTO api_keys (id, document) VALUES (?, ?)", (key.id, _document(key)))

    def get(self, key_id: str) -> StoredKey | None:
        """See `KeyStore.get`."""
        with self._database.reading() as connection:
            return _find(connection, key_id)

    def list(self, limit: int, after: str | None = None) -> Sequence[StoredKey]:
        """See `KeyStore.list`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM api_keys WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?",  # noqa: S608 - a constant
                (after, after, limit),
            ).fetchall()
        return [_read(*row) for row in rows]

    def replace(self, key: StoredKey) -> None:
        """See `KeyStore.replace`."""
        with self._database.writing() as connection:
            found = _find(connection, key.id)
            if found is None:
                raise Missing(key.id)
            if found.version + 1 != key.version:
                raise Stale(key.id)
            connection.execute("UPDATE api_keys SET document = ? WHERE id = ?", (_document(key), key.id))

    def touch(self, key_id: str, day: date) -> None:
        """See `KeyStore.touch`."""
        text = day.isoformat()
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE api_keys SET last_used = ? WHERE id = ? AND last_used IS NOT ?", (text, key_id, text)
            )

    def delete(self, key_id: str) -> bool:
        """See `KeyStore.delete`. Works on a full disk."""
        return self._database.freeing(lambda: self._delete(key_id))

    def _delete(self, key_id: str) -> bool:
        with self._database.writing() as connection:
            return connection.execute("DELETE FROM api_keys WHERE id = ?", (key_id,)).rowcount == 1


def _document(key: StoredKey) -> str:
    return key.model_dump_json(exclude={"last_used"})


def _find(connection: sqlite3.Connection, key_id: str) -> StoredKey | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM api_keys WHERE id = ?", (key_id,)).fetchone()  # noqa: S608 - a constant
    return _read(*row) if row else None


def _read(document: str, last_used: str | None) -> StoredKey:
    key = StoredKey.model_validate_json(document)
    return key if last_used is None else key.model_copy(update={"last_used": date.fromisoformat(last_used)})
