"""A request's body as a stream; clients that stall are aborted."""

import time
from collections import deque
from collections.abc import AsyncIterator

import anyio
from fastapi import HTTPException, Request

#: Seconds over which the rate is measured. A client that sends nothing for as long is gone.
IDLE_SECONDS = 30.0
#: The least bytes a second, 128 kbit/s, so that 50 MiB cannot take an hour.
LEAST_BYTES_PER_SECOND = 16 * 1024
_BUCKETS = 30


class Pace:
    """Bytes received in the last `IDLE_SECONDS`. Only time spent waiting for the client counts."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._buckets: deque[tuple[float, int]] = deque()  # when the last bytes of each came, and how many came

    def add(self, waited: float, size: int) -> None:
        """Note that `size` bytes came after `waited` seconds."""
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
        """Return after how many seconds without a byte the client is too slow; 0 if it is already."""
        needed = IDLE_SECONDS * LEAST_BYTES_PER_SECOND
        left = self.received
        leaving = 0.0  # the window begins where the request did
        for came, size in self._buckets:
            if left < needed:
                break
            left, leaving = left - size, came
        return max(0.0, leaving + IDLE_SECONDS - self._waited)


async def arriving(request: Request) -> AsyncIterator[bytes]:
    """Yield the pieces of the body. Raises a 408 when they stop coming, or come too slowly.

    Raises `ClientDisconnect` if the client goes away before the end.
    """
    pace = Pace()
    chunks = aiter(request.stream())
    while True:
        started = time.monotonic()
        try:
            with anyio.fail_after(pace.seconds_left()):
                chunk = await anext(chunks, b"")
        except TimeoutError:
            pace.add(time.monotonic() - started, 0)
            raise HTTPException(408, _too_slow(pace.received)) from None
        if not chunk:
            return
        pace.add(time.monotonic() - started, len(chunk))
        yield chunk


def announced_length(request: Request) -> int:
    """Return the `Content-Length`; 0 if there is none, or one that makes no sense and is refused later."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else 0


def _too_slow(received: int) -> str:
    if not received:
        return f"No data received for {IDLE_SECONDS:g} seconds."
    needed = int(IDLE_SECONDS * LEAST_BYTES_PER_SECOND)
    return f"Received {received:,} bytes in the last {IDLE_SECONDS:g} seconds; at least {needed:,} are needed."
