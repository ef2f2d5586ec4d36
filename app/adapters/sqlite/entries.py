"""Index entries and hash pointers of a record."""

import sqlite3
import time

from app.domain.images.similar import bands
from app.domain.models import Image, is_open_ticket

#: Kind and value of an index entry.
Entry = tuple[str, str]

#: Entries of open upload tickets.
OPEN_TICKET: Entry = ("ticket", "")
#: Entries of upload tickets whose bytes have arrived and are not processed yet.
ARRIVED_TICKET: Entry = ("arrived", "")
#: Prefix of the kinds of a trashed image's entries.
TRASH = "trash:"
#: Kind of the entries of look-alikes.
BAND = "band"
_EXPECTED = "expected"
_COPY = "copy"
_MOST_COPIES = 20


def index_entries(image: Image) -> set[Entry]:
    """Return the kinds and values of the image's entries, see `schema`. The record of a ticket is in no list."""
    if image.upload_expires_at is not None and image.trashed_at is None:
        expected = {(_EXPECTED, image.sha256)} if image.sha256 else set()
        return {OPEN_TICKET if is_open_ticket(image) else ARRIVED_TICKET, *expected}
    tags = {("tag", tag) for tag in image.tags}
    own = {("status", image.status.value), ("type", image.content_type), ("visibility", image.visibility.value)}
    listed = {("", ""), *own, *tags}
    if image.trashed_at is not None:
        return {(TRASH + kind, value) for kind, value in listed}
    return listed | {(BAND, band) for band in bands(image.phash)}


def add_entries(connection: sqlite3.Connection, image: Image, entries: set[Entry]) -> None:
    """Add entries that do not exist."""
    connection.executemany(
        "INSERT INTO entries (owner, kind, value, image) VALUES (?, ?, ?, ?)",
        [(image.owner, kind, value, image.id) for kind, value in sorted(entries)],
    )


def drop_entries(connection: sqlite3.Connection, image: Image, entries: set[Entry]) -> None:
    """Remove entries, those that exist."""
    connection.executemany(
        "DELETE FROM entries WHERE owner = ? AND kind = ? AND value = ? AND image = ?",
        [(image.owner, kind, value, image.id) for kind, value in entries],
    )


def missing_entries(connection: sqlite3.Connection, image: Image) -> set[Entry]:
    """Return those entries of a record that do not exist."""
    statement = "SELECT 1 FROM entries WHERE owner = ? AND kind = ? AND value = ? AND image = ?"
    entries = index_entries(image)
    return {each for each in entries if not connection.execute(statement, (image.owner, *each, image.id)).fetchone()}


def find_holder(connection: sqlite3.Connection, owner: str, sha256: str) -> str | None:
    """Return the id that the hash points to."""
    row = connection.execute("SELECT image FROM hashes WHERE owner = ? AND sha256 = ?", (owner, sha256)).fetchone()
    return row[0] if row else None


def find_copies(connection: sqlite3.Connection, owner: str, sha256: str) -> list[str]:
    """Return the ids of the oldest copies of the record that the hash points to."""
    rows = connection.execute(
        "SELECT image FROM entries WHERE owner = ? AND kind = ? AND value = ? ORDER BY image LIMIT ?",
        (owner, _COPY, sha256, _MOST_COPIES),
    )
    return [image_id for (image_id,) in rows]


def find_ticket(connection: sqlite3.Connection, owner: str, sha256: str) -> str | None:
    """Return the id of the newest upload ticket for these bytes."""
    row = connection.execute(
        "SELECT max(image) FROM entries WHERE owner = ? AND kind = ? AND value = ?", (owner, _EXPECTED, sha256)
    ).fetchone()
    return row[0] if row else None


def claim_bytes(connection: sqlite3.Connection, image: Image, replaces: str | None) -> str:
    """Point the hash to a new record, like `point`. A ticket is refused if there is another one than `replaces`."""
    if image.upload_expires_at is None or image.sha256 is None:
        return point(connection, image, replaces)
    holder = find_ticket(connection, image.owner, image.sha256)
    return image.id if holder in {None, replaces} else str(holder)


def point(connection: sqlite3.Connection, image: Image, replaces: str | None) -> str:
    """Point the hash to the image if it is free or points to `replaces`. Return the id that it points to."""
    if image.sha256 is None:
        raise ValueError("an image whose bytes are not known cannot stand for them")
    holder = find_holder(connection, image.owner, image.sha256)
    if holder is not None and holder != replaces:
        return holder
    connection.execute(
        "INSERT OR REPLACE INTO hashes (owner, sha256, image) VALUES (?, ?, ?)", (image.owner, image.sha256, image.id)
    )
    return image.id


def note_copy(connection: sqlite3.Connection, image: Image, *, is_holder: bool) -> None:
    """Note whether the image is a further copy of the bytes that its hash points to."""
    drop_entries(connection, image, {_build_copy(image)})
    if not is_holder:
        add_entries(connection, image, {_build_copy(image)})


def drop_all(connection: sqlite3.Connection, image: Image) -> None:
    """Remove all entries of the image. Point its hash to the oldest copy, or remove the pointer."""
    drop_entries(connection, image, index_entries(image) | {_build_copy(image)})
    key = (image.owner, image.sha256)
    if image.sha256 is None or find_holder(connection, image.owner, image.sha256) != image.id:
        return
    copies = find_copies(connection, image.owner, image.sha256)
    if not copies:
        connection.execute("DELETE FROM hashes WHERE owner = ? AND sha256 = ?", key)
        return
    connection.execute("UPDATE hashes SET image = ? WHERE owner = ? AND sha256 = ?", (copies[0], *key))
    connection.execute(
        "DELETE FROM entries WHERE owner = ? AND kind = 'copy' AND value = ? AND image = ?", (*key, copies[0])
    )


def _build_copy(image: Image) -> Entry:
    """Return the entry of a record whose hash points to another record."""
    return _COPY, image.sha256 or ""


def forget_expired(connection: sqlite3.Connection) -> None:
    """Remove tombstones that have expired, at most a hundred."""
    connection.execute(
        "DELETE FROM images WHERE id IN (SELECT id FROM images WHERE expires_at <= ? LIMIT 100)", (time.time(),)
    )
