"""Checks of answers, and the body of a fetched file."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse

from app.adapters.outbound.channel import Channel
from app.domain.errors import BadAnswer

_PIECE = 256 * 1024
#: Window in seconds over which the rate of a body is measured, and its least bytes: 16 KiB a second.
_WINDOW_SECONDS = 30.0
_WINDOW_BYTES = 30 * 16 * 1024
_MOST_RETRY_SECONDS = 7 * 24 * 3600.0


def retry_after(response: HTTPResponse) -> float | None:
    """Return the seconds of `Retry-After`, a number or a date, at most a week. None without a valid one."""
    value = (response.getheader("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), _MOST_RETRY_SECONDS)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # OverflowError: a part of the date has too many digits
        return None
    seconds = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), _MOST_RETRY_SECONDS)


def check_file(response: HTTPResponse, max_bytes: int) -> None:
    """Raise `BadAnswer` if the head says that the answer is not a file, or one that is too large."""
    if response.status != 200:
        raise BadAnswer("status", f"the server answered {response.status}", status=response.status)
    encoding = (response.getheader("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity":
        detail = f"the server sent the content encoding {encoding[:40]!a}, which was not asked for"
        raise BadAnswer("encoding", detail, encoding=encoding[:40])
    if response.length is not None and response.length > max_bytes:
        detail = f"the server declares {response.length:,} bytes; the limit is {max_bytes:,}"
        raise BadAnswer("size", detail, declared_bytes=response.length, limit_bytes=max_bytes)


def copy_body(response: HTTPResponse, channel: Channel, write: Callable[[bytes], object], max_bytes: int) -> int:
    """Pass the body to `write` and return its size. Raises `BadAnswer`."""
    declared, received, deadline = response.length, 0, channel.deadline
    window_ends, window_received = time.monotonic() + _WINDOW_SECONDS, 0
    while True:
        channel.deadline = min(deadline, window_ends)
        try:
            piece = response.read1(_PIECE)
        except TimeoutError:
            if time.monotonic() < deadline:
                detail = f"received {window_received:,} bytes in {_WINDOW_SECONDS:g} seconds"
                raise BadAnswer("rate", f"{detail}; at least {_WINDOW_BYTES:,} are needed") from None
            raise BadAnswer("timeout", f"the time was over after {received:,} bytes") from None
        except (OSError, HTTPException):
            raise _ended_early(received, declared) from None
        if not piece:
            break
        received += len(piece)
        window_received += len(piece)
        if received > max_bytes:
            detail = f"the server sent more than {max_bytes:,} bytes"
            raise BadAnswer("size", detail, received_bytes=received, limit_bytes=max_bytes)
        before = time.monotonic()
        write(piece)
        now = time.monotonic()
        window_ends += now - before  # a slow disk does not make the server slow
        if window_received >= _WINDOW_BYTES:
            window_ends, window_received = now + _WINDOW_SECONDS, 0
    if declared is not None and received < declared:
        raise _ended_early(received, declared)
    return received


def _ended_early(received: int, declared: int | None) -> BadAnswer:
    of = "" if declared is None else f" of {declared:,}"
    return BadAnswer("incomplete", f"the connection ended after {received:,}{of} bytes", received_bytes=received)
