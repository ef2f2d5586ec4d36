"""Requests that wait for images to change. One poller looks for all of them."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

log = logging.getLogger(__name__)

#: Seconds between two looks at one image: short at first, since most images are ready soon.
_SHORTEST, _LONGEST = 0.05, 0.25


@dataclass
class _Watch:
    """One image, and those who wait for it, each with the version that it has seen."""

    due: float
    pause: float = _SHORTEST
    waiters: dict[asyncio.Future[None], int] = field(default_factory=dict)

    def tell(self, version: int | None) -> None:
        """Wake the waiters that have seen another version; None is that of a record that is gone."""
        for waiter, seen in self.waiters.items():
            if seen != version and not waiter.done():
                waiter.set_result(None)

    def postpone(self, now: float) -> None:
        """Make the next look due."""
        self.pause = min(self.pause * 1.5, _LONGEST)
        self.due = now + self.pause


class Waiters:
    """At most `most` waiting requests. `versions` returns the versions of those records that exist."""

    def __init__(self, versions: Callable[[Collection[str]], Mapping[str, int]], most: int) -> None:
        self._versions = versions
        self._most = most
        self._count = 0
        self._watches: dict[str, _Watch] = {}
        self._poller: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """True while no further request may wait."""
        return self._count >= self._most

    async def changed(self, image_id: str, version: int, seconds: float) -> bool:
        """Wait until the record has another version or is gone. Return False after so many seconds, or at once if too
        many requests wait already."""
        if self.full:
            return False
        self._count += 1
        watch = self._watches.setdefault(image_id, _Watch(time.monotonic() + _SHORTEST))
        waiter = asyncio.get_running_loop().create_future()
        watch.waiters[waiter] = version
        self._start()
        try:
            done, _ = await asyncio.wait({waiter}, timeout=seconds)
            return bool(done)
        finally:
            self._count -= 1
            del watch.waiters[waiter]
            if not watch.waiters:
                del self._watches[image_id]
            if not self._watches and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._poller is None or self._poller.done() or self._poller.get_loop() is not loop:
            self._poller = loop.create_task(self._poll())

    async def _poll(self) -> None:
        limiter = anyio.CapacityLimiter(1)  # its own: threads that wait for a slow disk must not delay it
        while True:
            now = time.monotonic()
            due = [image_id for image_id, watch in self._watches.items() if watch.due <= now]
            if due:
                await self._look(due, limiter)
            await asyncio.sleep(_SHORTEST)

    async def _look(self, image_ids: list[str], limiter: anyio.CapacityLimiter) -> None:
        try:
            found = await anyio.to_thread.run_sync(self._versions, image_ids, limiter=limiter, abandon_on_cancel=True)
        except Exception:
            log.exception("the records of waiting requests cannot be read; trying again")
            found = None
        now = time.monotonic()
        for image_id in image_ids:
            watch = self._watches.get(image_id)
            if watch is not None:
                watch.postpone(now)
                if found is not None:
                    watch.tell(found.get(image_id))
