"""Counts of images by owner, written in the transaction that changes a record."""

import sqlite3
from collections.abc import Iterable, Sequence

from app.adapters.sqlite.database import Database
from app.domain.images.stats import Change, OwnerCounts, add_up


class SqliteCounters:
    """`Counters` in a `Database`."""

    exact = True

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner: str) -> OwnerCounts:
        """See `Counters.get`."""
        with self._database.reading() as connection:
            return OwnerCounts(owner, _read(connection, [owner]).get(owner, {}))

    def list(self, limit: int, after: str | None = None) -> Sequence[OwnerCounts]:
        """See `Counters.list`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT owner FROM counters WHERE owner > ? ORDER BY owner LIMIT ?", (after or "", limit)
            ).fetchall()
            owners = [owner for (owner,) in rows]
            found = _read(connection, owners)
        return [OwnerCounts(owner, found.get(owner, {})) for owner in owners]


def _read(connection: sqlite3.Connection, owners: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    marks = ", ".join("?" * len(owners))
    statement = f"SELECT owner, name, value FROM counters WHERE owner IN ({marks})"  # noqa: S608 - marks only
    for owner, name, value in connection.execute(statement, owners):
        found.setdefault(owner, {})[name] = value
    return found


def add_changes(connection: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Change the counts as records change, within the open transaction. A count of zero has no row."""
    for owner, amounts in add_up(changes).items():
        connection.executemany(
            "INSERT INTO counters (owner, name, value) VALUES (?, ?, ?)"
            " ON CONFLICT (owner, name) DO UPDATE SET value = value + excluded.value",
            [(owner, name, amount) for name, amount in amounts.items()],
        )
        connection.execute("DELETE FROM counters WHERE owner = ? AND value = 0", (owner,))
