"""Counts of images and usage by owner, written in the transaction that changes a record."""

import sqlite3
from collections.abc import Sequence

from app.adapters.sqlite.database import Database
from app.domain.errors import OverQuota
from app.domain.images.stats import Change, OwnerCounts, add_up
from app.domain.models import Image
from app.domain.quota.usage import Quota, Usage

#: In one statement, which sees one state of the database.
_COUNTED_AND_KEPT = """
    SELECT coalesce(sum(json_extract(document, '$.bytes')), 0), count(*),
        coalesce((SELECT bytes FROM usage WHERE owner = :owner), 0),
        coalesce((SELECT images FROM usage WHERE owner = :owner), 0)
    FROM images WHERE buried = 0 AND json_extract(document, '$.owner') = :owner
"""


class SqliteCounters:
    """`Counters` in a `Database`."""

    exact = True

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner: str) -> OwnerCounts:
        """See `Counters.get`."""
        with self._database.reading() as connection:
            counts = _read(connection, [owner]).get(owner, {})
            return OwnerCounts(owner, counts, usage=read_usage(connection, owner))

    def list(self, limit: int, after: str | None = None) -> Sequence[OwnerCounts]:
        """See `Counters.list`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT owner FROM counters WHERE owner > ? ORDER BY owner LIMIT ?", (after or "", limit)
            ).fetchall()
            owners = [owner for (owner,) in rows]
            found = _read(connection, owners)
            used = {owner: read_usage(connection, owner) for owner in owners}
        return [OwnerCounts(owner, found.get(owner, {}), usage=used[owner]) for owner in owners]

    def recount_usage(self, owner: str) -> Usage:
        """See `Counters.recount_usage`. Reads all records.

        Others can write meanwhile: their changes are in the kept usage, and only its error at the time of the read is
        corrected.
        """
        with self._database.reading() as connection:
            size, number, kept_size, kept_number = connection.execute(_COUNTED_AND_KEPT, {"owner": owner}).fetchone()
        with self._database.writing() as connection:
            _add_usage(connection, owner, size - kept_size, number - kept_number)
            return read_usage(connection, owner)


def read_usage(connection: sqlite3.Connection, owner: str) -> Usage:
    """Return what the owner uses."""
    row = connection.execute("SELECT bytes, images FROM usage WHERE owner = ?", (owner,)).fetchone()
    return Usage(*row) if row else Usage()


def _read(connection: sqlite3.Connection, owners: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    marks = ", ".join("?" * len(owners))
    statement = f"SELECT owner, name, value FROM counters WHERE owner IN ({marks})"  # noqa: S608 - marks only
    for owner, name, value in connection.execute(statement, owners):
        found.setdefault(owner, {})[name] = value
    return found


def check_quota(connection: sqlite3.Connection, image: Image, quota: Quota) -> None:
    """Raise `OverQuota` if a record of this image would exceed the quota, within the open transaction."""
    if quota.is_limited and not quota.allows(usage := read_usage(connection, image.owner), image.bytes):
        raise OverQuota(usage)


def add_changes(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Change counts and usage as records change, within the open transaction. A count of zero has no row."""
    for before, after in changes:
        for image, sign in ((before, -1), (after, 1)):
            if image is not None and (before is None or after is None or before.bytes != after.bytes):
                _add_usage(connection, image.owner, sign * image.bytes, sign)
    for owner, amounts in add_up(changes).items():
        connection.executemany(
            "INSERT INTO counters (owner, name, value) VALUES (?, ?, ?)"
            " ON CONFLICT (owner, name) DO UPDATE SET value = value + excluded.value",
            [(owner, name, amount) for name, amount in amounts.items()],
        )
        connection.execute("DELETE FROM counters WHERE owner = ? AND value = 0", (owner,))


def _add_usage(connection: sqlite3.Connection, owner: str, size: int, number: int) -> None:
    connection.execute(
        "INSERT INTO usage (owner, bytes, images) VALUES (?, ?, ?)"
        " ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes, images = images + excluded.images",
        (owner, size, number),
    )
    if number <= 0:
        connection.execute("DELETE FROM usage WHERE owner = ? AND images = 0", (owner,))
