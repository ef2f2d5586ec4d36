"""Turns of owners: the order in which due messages are delivered."""

import sqlite3
from typing import Any

#: Seconds in which an owner whose message timed out is behind the others.
BEHIND_SECONDS = 300

# Each step of the recursion finds the next owner in the index, so the costs grow with owners, not with messages.
_NEXT = """
WITH RECURSIVE waiting(owner) AS (
    SELECT min(owner) FROM messages WHERE dead = 0 AND bulk = :bulk
    UNION ALL
    SELECT (SELECT min(owner) FROM messages WHERE dead = 0 AND bulk = :bulk AND owner > waiting.owner)
    FROM waiting WHERE waiting.owner IS NOT NULL
)
SELECT messages.id, messages.body, messages.receives, messages.owner
FROM waiting
JOIN messages ON messages.id = (
    SELECT id FROM messages AS first
    WHERE first.dead = 0 AND first.bulk = :bulk AND first.owner = waiting.owner AND first.due <= :now
    ORDER BY first.due, first.id LIMIT 1
)
LEFT JOIN turns ON turns.owner = messages.owner
ORDER BY
    coalesce(turns.behind_until > :now AND turns.behind_until <= :plausible, 0),
    coalesce(turns.served, 0), messages.due, messages.id
LIMIT 1
"""


def next_message(connection: sqlite3.Connection, now: float, slack: float) -> tuple[int, str, int, str] | None:
    """Return id, body, receives and owner of the message to deliver next, or None if no message is due.

    It is the earliest one of the owner who was served least lately. Owners who are behind come after the others, and
    bulk messages after all others. A time until which an owner is behind that is more than `slack` seconds too late
    was written before the clock was set back, and does not count.
    """
    for bulk in (0, 1):
        values = {"bulk": bulk, "now": now, "plausible": now + BEHIND_SECONDS + slack}
        row: Any = connection.execute(_NEXT, values).fetchone()
        if row is not None:
            number, body, receives, owner = row
            return int(number), str(body), int(receives), str(owner)
    return None


def note_turn(connection: sqlite3.Connection, owner: str) -> None:
    """Note that the owner is served now. Turns are numbered, because a clock can be set back."""
    connection.execute(
        "INSERT INTO turns (owner, served) VALUES (?, (SELECT coalesce(max(served), 0) + 1 FROM turns))"
        " ON CONFLICT (owner) DO UPDATE SET served = excluded.served",
        (owner,),
    )


def put_behind(connection: sqlite3.Connection, owner: str, now: float) -> None:
    """Put an owner who was served behind the others for a while."""
    connection.execute("UPDATE turns SET behind_until = ? WHERE owner = ?", (now + BEHIND_SECONDS, owner))


def forget_turns(connection: sqlite3.Connection, now: float) -> None:
    """Remove the turns of owners without messages, except while they are behind."""
    connection.execute(
        "DELETE FROM turns WHERE behind_until <= ? AND owner NOT IN (SELECT owner FROM messages)",
        (now,),
    )
