"""Streaming of request bodies, with a minimum transfer rate."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator

from fastapi import Request

from app.api.http.problem_catalog import refusal

#: Window in seconds over which the rate is measured, and the longest pause between two pieces.
IDLE_SECONDS = 30.0
#: Minimum rate, 128 kbit/s, so that 50 MiB cannot take an hour.
MIN_BYTES_PER_SECOND = 16 * 1024
_BUCKETS = 30


class TransferRate:
    """Bytes received in the last `IDLE_SECONDS`. Only time spent waiting for the client counts."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._buckets: deque[tuple[float, int]] = deque()  # time of the last piece in the bucket, and its bytes

    def add(self, waited: float, size: int) -> None:
        """Count `size` bytes that were received after waiting for `waited` seconds."""
        self._waited += waited
        width = IDLE_SECONDS / _BUCKETS
        if self._buckets and self._buckets[-1][0] // width == self._waited // width:
            size += self._buckets.pop()[1]
        self._buckets.append((self._waited, size))
        while self._buckets[0][0] <= self._waited - IDLE_SECONDS:
            self._buckets.popleft()

    @property
    def received(self) -> int:
        """Bytes within the window."""
        return sum(size for _, size in self._buckets)

    def seconds_left(self) -> float:
        """Return the seconds without data after which the client is too slow; 0 if it already is."""
        needed = IDLE_SECONDS * MIN_BYTES_PER_SECOND
        left = self.received
        leaving = 0.0  # the first window begins with the request
        for came, size in self._buckets:
            if left < needed:
                break
            left, leaving = left - size, came
        return max(0.0, leaving + IDLE_SECONDS - self._waited)


async def stream_body(request: Request) -> AsyncIterator[bytes]:
    """Stream a request body; abort clients that stall.

    Raises `request_timeout` (408) if the body stalls or is slower than the minimum rate, and `ClientDisconnect` if the
    connection closes before the end.
    """
    rate = TransferRate()
    chunks = aiter(request.stream())
    while True:
        started = time.monotonic()
        try:
            async with asyncio.timeout(rate.seconds_left()):  # 6 µs; anyio's fail_after takes 12
                chunk = await anext(chunks, b"")
        except TimeoutError:
            rate.add(time.monotonic() - started, 0)
            raise refusal("request_timeout", _too_slow(rate.received)) from None
        if not chunk:
            return
        rate.add(time.monotonic() - started, len(chunk))
        yield chunk


def declared_length(request: Request) -> int | None:
    """Return the `Content-Length`, or None without one. Raises `Malformed` if it is not a number."""
    declared = request.headers.get("content-length")
    if declared is None:
        return None
    if not (declared.isascii() and declared.isdigit() and len(declared) < 20):
        raise refusal("bad_length", found=declared[:40])
    return int(declared)


def _too_slow(received: int) -> str:
    if not received:
        return f"No data received for {IDLE_SECONDS:g} seconds."
    needed = int(IDLE_SECONDS * MIN_BYTES_PER_SECOND)
    return f"Received {received:,} bytes in the last {IDLE_SECONDS:g} seconds; at least {needed:,} are needed."
