"""`EventQueue` in a SQLite table, with the semantics of SQS."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from app.adapters.sqlite.database import Database
from app.adapters.sqlite.turns import forget_turns, next_message, note_turn, put_behind
from app.domain.ports import Message
from app.domain.times import CLOCK_SLACK

MAX_BODY_BYTES = 256 * 1024
MAX_DELAY = 900
_POLL_SECONDS = 0.05


class SqliteQueue:
    """An `EventQueue` in a `Database`.

    `visibility` is in seconds; after `max_attempts` deliveries a message becomes a dead letter. Due times are wall
    clock times because they outlive the process. A due time later than any delay or visibility time-out allows was
    written before the clock was set back, and counts as due.
    """

    def __init__(self, database: Database, visibility: float, max_attempts: int) -> None:
        self._database = database
        self._visibility = visibility
        self._max_attempts = max_attempts
        self._longest = max(MAX_DELAY, visibility) + CLOCK_SLACK.total_seconds()

    def send(self, body: str, *, delay: int = 0, owner: str = "", bulk: bool = False) -> None:
        """See `EventQueue.send`. The order is exact. Raises `ValueError` for a body or delay beyond the limits."""
        _check_delay(delay)
        if not 0 < len(body.encode()) <= MAX_BODY_BYTES:
            raise ValueError(f"a message must have 1 to {MAX_BODY_BYTES} bytes")
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO messages (body, due, owner, bulk) VALUES (?, ?, ?, ?)",
                (body, time.time() + delay, owner, bulk),
            )

    def receive(self, limit: int = 1, *, wait: float = 0) -> Sequence[Message]:
        """See `EventQueue.receive`."""
        if not 1 <= limit <= 10 or not 0 <= wait <= 20:
            raise ValueError("limit must be 1 to 10 messages, wait 0 to 20 seconds")
        end = time.monotonic() + wait
        while True:
            # Check before taking the lock: an idle worker must not block writers.
            if self._anything_due() and (messages := self._take(limit)):
                return messages
            left = end - time.monotonic()
            if left <= 0:
                return []
            time.sleep(min(_POLL_SECONDS, left))

    def delete(self, receipt: str, *, timed_out: bool = False) -> None:
        """See `EventQueue.delete`. A receipt of an earlier delivery does nothing."""
        with self._database.writing() as connection:
            this = (_id(receipt), receipt)
            row = connection.execute("SELECT owner FROM messages WHERE id = ? AND receipt = ?", this).fetchone()
            if row is not None and timed_out:
                put_behind(connection, row[0], time.time())
            connection.execute("DELETE FROM messages WHERE id = ? AND receipt = ?", this)

    def release(self, receipt: str, *, delay: int = 0) -> None:
        """See `EventQueue.release`."""
        _check_delay(delay)
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE messages SET due = ? WHERE id = ? AND receipt = ? AND dead = 0",
                (time.time() + delay, _id(receipt), receipt),
            )

    def extend(self, receipt: str, seconds: int, *, started: bool = True) -> None:
        """See `EventQueue.extend`."""
        _check_delay(seconds)
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE messages SET due = ?, receives = CAST(? AS INTEGER) - ?"
                " WHERE id = ? AND receipt = ? AND dead = 0",
                (time.time() + seconds, _count(receipt), not started, _id(receipt), receipt),
            )

    def waiting(self) -> int:
        """See `EventQueue.waiting`. Exact."""
        now = time.time()
        with self._database.reading() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM messages WHERE dead = 0 AND (due <= ? OR due > ?) AND receives < ?",
                (now, now + self._longest, self._max_attempts),
            ).fetchone()
        return int(count)

    def oldest_due(self) -> datetime | None:
        """See `EventQueue.oldest_due`."""
        with self._database.reading() as connection:
            (due,) = connection.execute(
                "SELECT min(due) FROM messages WHERE dead = 0 AND due <= ? AND receives < ?",
                (time.time(), self._max_attempts),
            ).fetchone()
        return None if due is None else datetime.fromtimestamp(due, UTC)

    def dead_letters(self) -> int:
        """See `EventQueue.dead_letters`. Exact."""
        with self._database.writing() as connection:
            self._bury_exhausted(connection)
            (count,) = connection.execute("SELECT count(*) FROM messages WHERE dead = 1").fetchone()
        return int(count)

    def redrive(self, subject: Callable[[str], str] = str) -> int:
        """See `EventQueue.redrive`."""
        with self._database.writing() as connection:
            self._bury_exhausted(connection)
            dead = connection.execute("SELECT id, body FROM messages WHERE dead = 1 ORDER BY id DESC").fetchall()
            first = {subject(body): number for number, body in dead}
            connection.executemany(
                "UPDATE messages SET dead = 0, receives = 0, receipt = NULL, due = ? WHERE id = ?",
                [(time.time(), number) for number in first.values()],
            )
            connection.execute("DELETE FROM messages WHERE dead = 1")
        return len(first)

    def recover(self) -> int:
        """Make every message that is with a receiver due now; return their number.

        Call it only when all receivers have ended. Their deliveries count, so that an event that kills its receiver
        becomes a dead letter. Of messages with the same body, which each start sends for unfinished records, only the
        one with the most attempts stays.
        """
        with self._database.writing() as connection:
            forget_turns(connection, time.time())
            connection.execute(
                "DELETE FROM messages WHERE dead = 0 AND receives < :most AND id NOT IN (SELECT id FROM"
                " (SELECT id, max(receives) FROM messages WHERE dead = 0 AND receives < :most GROUP BY body))",
                {"most": self._max_attempts},
            )
            return connection.execute(
                "UPDATE messages SET receipt = NULL, due = min(due, ?) WHERE dead = 0 AND receipt IS NOT NULL",
                (time.time(),),
            ).rowcount

    def tidy(self) -> None:
        """Forget the turns of owners who have no messages."""
        with self._database.writing() as connection:
            forget_turns(connection, time.time())

    def ping(self) -> None:
        """See `EventQueue.ping`."""
        self._database.ping()

    def _anything_due(self) -> bool:
        now = time.time()
        with self._database.reading() as connection:
            row = connection.execute(  # two ranges of one index, because OR scans all of it
                "SELECT 1 FROM messages WHERE dead = 0 AND due <= ?"
                " UNION ALL SELECT 1 FROM messages WHERE dead = 0 AND due > ? LIMIT 1",
                (now, now + self._longest),
            ).fetchone()
        return row is not None

    def _take(self, limit: int) -> list[Message]:
        with self._database.writing() as connection:
            self._bury_exhausted(connection)
            now = time.time()
            messages: list[Message] = []
            while len(messages) < limit and (found := next_message(connection, now, CLOCK_SLACK.total_seconds())):
                number, body, receives, owner = found
                message = Message(str(number), f"{number}-{receives + 1}-{uuid4().hex}", body, receives + 1)
                connection.execute(
                    "UPDATE messages SET receives = ?, receipt = ?, due = ? WHERE id = ?",
                    (message.receive_count, message.receipt, now + self._visibility, number),
                )
                note_turn(connection, owner)
                messages.append(message)
        return messages

    def _bury_exhausted(self, connection: sqlite3.Connection) -> None:
        """Move messages to the dead letters after their last delivery. Before that, make messages due that a clock set
        back would delay."""
        now = time.time()
        connection.execute("UPDATE messages SET due = ? WHERE dead = 0 AND due > ?", (now, now + self._longest))
        connection.execute(
            "UPDATE messages SET dead = 1, receipt = NULL WHERE dead = 0 AND receives >= ? AND due <= ?",
            (self._max_attempts, now),
        )


def _check_delay(delay: int) -> None:
    if not 0 <= delay <= MAX_DELAY:
        raise ValueError(f"delay must be 0 to {MAX_DELAY} seconds")


def _id(receipt: str) -> str:
    return receipt.partition("-")[0]


def _count(receipt: str) -> str:
    """Return the number of the delivery."""
    return receipt.partition("-")[2].partition("-")[0]
