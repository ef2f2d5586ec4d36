"""Database files of backups: copied while in use, read without being changed."""

import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from app.adapters.sqlite.database import Database
from app.adapters.sqlite.images import SqliteImages
from app.adapters.sqlite.schema import MIGRATIONS, check, refused
from app.domain.disk import has_no_space, port_errors
from app.domain.errors import Full, Unavailable
from app.domain.models import UPDATABLE, Image, Tombstone

_PAGE = 500
_RECORDS = "SELECT id, document FROM images WHERE buried = 0 AND id > ? ORDER BY id LIMIT ?"
_RECORD = "SELECT buried, document FROM images WHERE id = ?"


class SqliteFiles:
    """`DatabaseFiles` of SQLite."""

    newest_schema = len(MIGRATIONS)

    def copy(self, source: Path, target: Path) -> int:
        """See `DatabaseFiles.copy`. SQLite's backup API reads all pages in one transaction, which blocks no writer."""
        with port_errors():
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with _errors(source, target.parent), _reading_live(source) as live, closing(sqlite3.connect(target)) as copy:
            version = check(live, str(source))
            live.backup(copy)
        return version

    def records(self, file: Path) -> Iterator[tuple[str, str]]:
        """See `DatabaseFiles.records`."""
        after = ""
        with _errors(file, file.parent), _reading_unchanged(file) as connection:
            while rows := connection.execute(_RECORDS, (after, _PAGE)).fetchall():
                yield from rows
                after = rows[-1][0]

    def follow(self, copy: Path, live: Path, image_ids: Collection[str]) -> Mapping[str, str | None] | None:
        """See `DatabaseFiles.follow`."""
        with _errors(copy, copy.parent), _reading_unchanged(copy) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < self.newest_schema:
            return None
        database, changed = Database(copy), dict[str, str | None]()
        try:
            images = SqliteImages(database)
            with _errors(live, live.parent), _reading_live(live) as connection:
                for image_id in image_ids:
                    if _follow(images, image_id, connection.execute(_RECORD, (image_id,)).fetchone()):
                        found = images.get_stored(image_id)
                        changed[image_id] = None if found is None else str(found.key)
            database.checkpoint()
        finally:
            database.close()
        return changed

    def check(self, file: Path) -> int:
        """See `DatabaseFiles.check`."""
        with _errors(file, file.parent), _reading_unchanged(file) as connection:
            version = check(connection, str(file))
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise refused(str(file), f"it is damaged ({verdict})")
        return version


def _follow(images: SqliteImages, image_id: str, row: tuple[int, str] | None) -> bool:
    """Bring a record to its state in a row of the live database; None if it was removed. Return True if it differed."""
    before = images.get(image_id)
    if not isinstance(before, Image):
        return False
    if row is None:
        images.remove(image_id, before.version)
    elif row[0]:
        images.delete(image_id, before.version, Tombstone.model_validate_json(row[1]))
    else:
        after = Image.model_validate_json(row[1])
        names = [name for name in UPDATABLE if getattr(before, name) != getattr(after, name)]
        changes = {name: getattr(after, name) for name in names}
        if not names:
            return False
        if "work" in changes:
            changes["work"] = dict.fromkeys(before.work) | after.work
        images.update(image_id, before.version, changes)
    return True


@contextmanager
def _reading_live(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that may be in use, and change nothing in it. SQLite may have to recover its log first."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=10)) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield connection


@contextmanager
def _reading_unchanged(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that nobody writes to, without creating the files of its log."""
    uri = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as connection:
        yield connection


@contextmanager
def _errors(file: Path, written: Path) -> Iterator[None]:
    """Raise errors of the port for those of SQLite. `written` is the folder whose disk may be full."""
    try:
        yield
    except sqlite3.Error as error:
        kind = getattr(error, "sqlite_errorname", "") or ""
        if kind.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise refused(str(file), f"it is damaged or not a database ({error})") from error
        if kind.startswith("SQLITE_FULL") or (kind.startswith("SQLITE_IOERR") and has_no_space(written)):
            raise Full("The disk of the copy has no space left.") from error
        raise Unavailable(f"The database {file} cannot be read: {error}.") from error
