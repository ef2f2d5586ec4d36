"""Image ids: UUIDv7, so that an id carries its date and ids sort by time."""

import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.domain.times import CLOCK_SLACK

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

#: A clock that was set back by more than this is followed: ids that went on from the old time would carry wrong dates.
_MOST_AHEAD = int(CLOCK_SLACK.total_seconds() * 1000) << 12

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a new UUIDv7 in canonical lower case. It sorts after every id that this process made before, unless the
    clock was set back by more than `CLOCK_SLACK`.

    RFC 9562 section 5.7, with method 3 of section 6.2: the 12 bits after the milliseconds hold their fraction, and
    move on by one when two ids fall into the same tick.
    """
    global _last  # noqa: PLW0603 - one clock a process
    with _lock:
        nanoseconds = time.time_ns()
        tick = (nanoseconds // 1_000_000 << 12) | (nanoseconds % 1_000_000 << 12) // 1_000_000
        if tick + _MOST_AHEAD > _last:
            tick = max(tick, _last + 1)
        _last = tick
    return _assemble(tick, int.from_bytes(os.urandom(8)))


def is_id(text: str) -> bool:
    """Return True if the text is an id in the form that this service writes."""
    return _ID.fullmatch(text) is not None


def id_time(image_id: str) -> datetime:
    """Return when the id was made, to the millisecond, in UTC; the last moment there is for what no clock has shown."""
    try:
        return datetime.fromtimestamp((UUID(image_id).int >> 80) / 1000, UTC)
    except (ValueError, OverflowError):  # after the year 9999
        return datetime.max.replace(tzinfo=UTC)


def first_id_at(moment: datetime) -> str:
    """Return the lowest id of that millisecond, so that a range of dates becomes a range of ids."""
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return _assemble(max(milliseconds, 0) << 12, 0)


def _assemble(tick: int, random: int) -> str:
    milliseconds, fraction = (tick >> 12) & (1 << 48) - 1, tick & 0xFFF
    return str(UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random & (1 << 62) - 1))
