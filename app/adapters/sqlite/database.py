"""Connections and transactions of the database file."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from app.adapters.sqlite.reserve import Reserve
from app.adapters.sqlite.schema import MIGRATIONS, check, migrate, refused
from app.domain.disk import check_free, has_no_space, port_errors
from app.domain.errors import ConfigurationError, Full, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

_DAMAGED = frozenset({"SQLITE_NOTADB", "SQLITE_CORRUPT"})
_FORBIDDEN = frozenset({"SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM"})


class Database:
    """A SQLite file for several threads and processes, durable at every commit (WAL, synchronous FULL).

    The file is created if it does not exist. `patience` is the longest wait for a write of another process, in seconds.
    A connection serves one thread at a time and is reused. `min_free_bytes` is the free disk space that `check_space`
    requires. `reserve_bytes` is the size of a reserve file: on a full disk it gives its space to transactions that
    delete. Raises `ConfigurationError` for an unusable file and `Unavailable` for a locked one.
    """

    def __init__(self, path: Path, *, patience: float = 10, min_free_bytes: int = 0, reserve_bytes: int = 0) -> None:
        self._path = path.absolute()
        self._min_free_bytes = min_free_bytes
        self._reserve = Reserve(self._path.with_name(f"{path.name}-reserve"), reserve_bytes)
        self._patience = patience
        self._process = os.getpid()
        self._writer = threading.Lock()  # SQLite's own lock is not fair among many threads
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)  # SQLite would create it readable for everybody
        except OSError as error:
            raise ConfigurationError(f"The database {path} cannot be used: {error.strerror}.") from error
        self.freeing(self._prepare)  # opening needs disk space too
        self._reserve.fill()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for single reading statements, each of which sees one state of the database."""
        if os.getpid() != self._process:
            raise RuntimeError("a Database cannot be used after a fork: open it in the process that uses it")
        try:
            connection = self._take()
            try:
                yield connection
            except sqlite3.Error:
                connection.close()
                raise
            except BaseException:
                self._give_back(connection)
                raise
            self._give_back(connection)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Lend a connection in an exclusive write transaction: committed at the end, rolled back by errors.

        A power cut can undo a transaction that is not `durable`, as a whole. It does not wait for the disk, so others
        wait less for their turn.
        """
        if not self._writer.acquire(timeout=self._patience):
            raise Unavailable("The database is busy.")
        try:
            with self.reading() as connection:
                if not durable:
                    connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                finally:
                    if not durable:
                        connection.execute("PRAGMA synchronous = FULL")
        finally:
            self._writer.release()

    def freeing(self, operation: Callable[[], T]) -> T:
        """Run an operation that frees space; on a full disk run it again in the space of the reserve file."""
        try:
            return operation()
        except Full:
            if not self._reserve.give_up():
                raise
            log.warning("the disk is full: the database has used its reserve")
            return operation()

    def check_space(self) -> None:
        """Raise `Full` if the disk has less free space than required, `Unavailable` if it cannot be checked."""
        with port_errors():
            check_free(self._path.parent, 0, self._min_free_bytes)

    def ping(self) -> None:
        """Return if the database can be read and written, else raise `Unavailable`, or `Full`."""
        with self.writing() as connection:
            connection.execute("SELECT 1 FROM images LIMIT 1").fetchone()
        if not self._path.exists():
            raise Unavailable("The database file has been removed.")
        self.check_space()

    def checkpoint(self) -> bool:
        """Empty the write-ahead log, which still holds deleted data. Return False if another process prevents it."""
        with self.reading() as connection:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def fill_reserve(self) -> None:
        """Write the reserve file again if it has been used and there is enough space."""
        self._reserve.fill()

    def close(self) -> None:
        """Close all connections, those in use after their use. Further use of the database raises `Unavailable`."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _unavailable(self, error: sqlite3.Error) -> Unavailable:
        kind = _kind(error)
        log.error("the database failed: %s (%s)", error, kind or type(error).__name__)
        if kind == "SQLITE_FULL" or (kind == "SQLITE_IOERR" and has_no_space(self._path.parent)):
            return Full("The disk of the database has no space left.")
        return Unavailable("The database is busy." if kind == "SQLITE_BUSY" else "The database failed.")

    def _take(self) -> sqlite3.Connection:
        if self._closed:
            raise Unavailable("The database is closed.")
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect("rw")

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self, mode: str) -> sqlite3.Connection:
        """Open a connection. Mode `rw` creates no file, so that a removed database does not return empty."""
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode={mode}",
            uri=True,
            timeout=self._patience,
            isolation_level=None,  # transactions begin only with an explicit BEGIN
            check_same_thread=False,  # the pool gives it to one thread at a time
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # overwrite deleted data; not the default of every build
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> None:
        try:
            connection = self._connect("rwc")
            try:
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            if _kind(error) in _DAMAGED:
                raise refused(str(self._path), f"it is damaged or not a database ({error})") from error
            if _kind(error) in _FORBIDDEN:
                raise ConfigurationError(f"The database {self._path} cannot be used: {error}.") from error
            raise self._unavailable(error) from error
        self._idle.append(connection)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")  # all checks see one state, even while another process creates the tables
        version = check(connection, str(self._path))
        connection.execute("COMMIT")
        self._use_wal(connection)
        if version < len(MIGRATIONS):
            connection.execute("BEGIN IMMEDIATE")
            migrate(connection, check(connection, str(self._path)))  # another process may have been first
            connection.execute("COMMIT")

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        # SQLite does not wait for locks when two processes change the mode at once.
        end = time.monotonic() + self._patience
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                if _kind(error) != "SQLITE_BUSY" or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                break
        if mode != "wal":
            raise ConfigurationError(
                f"The database {self._path} cannot be used: its file system does not support shared memory."
            )


def _kind(error: sqlite3.Error) -> str:
    """Return the name of SQLite's primary result code, or "" for errors of Python's module itself."""
    name: str = getattr(error, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])
