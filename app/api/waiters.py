"""Requests that wait for images to change. One watcher serves all of them: the worker wakes it, and it polls too."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

log = logging.getLogger(__name__)

#: Seconds between two polls of one image: short at first, because most images are ready soon.
_MIN_PAUSE, _MAX_PAUSE = 0.05, 0.25
#: The longest pause once the worker has reported an image: polls find only what others have changed.
_MAX_PAUSE_WITH_NOTICES = 1.0


@dataclass(eq=False, repr=False)
class _Watch:
    """One image and its waiters, each with the version that it has seen. `noticed` is True if the worker has reported
    the image since the last read."""

    due: float
    pause: float
    noticed: bool = False
    waiters: dict[asyncio.Future[None], int] = field(default_factory=dict)

    def wake(self, version: int | None) -> None:
        """Wake the waiters that have seen another version; `version` is None if the record is gone."""
        for waiter, seen in self.waiters.items():
            if seen != version and not waiter.done():
                waiter.set_result(None)

    def postpone(self, now: float, longest: float) -> None:
        """Schedule the next poll."""
        self.pause = min(self.pause * 1.5, longest)
        self.due = now if self.noticed else now + self.pause


class Waiters:
    """At most `max_waiting` waiting requests. `versions` returns the versions of the records that exist."""

    def __init__(self, versions: Callable[[Collection[str]], Mapping[str, int]], max_waiting: int) -> None:
        self._versions = versions
        self._max_waiting = max_waiting
        self._count = 0
        self._watches: dict[str, _Watch] = {}
        self._poller: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._longest_pause = _MAX_PAUSE

    @property
    def full(self) -> bool:
        """True while no more requests may wait."""
        return self._count >= self._max_waiting

    async def changed(self, image_id: str, version: int, seconds: float) -> bool:
        """Wait until the record has another version or is gone, and return True.

        Return False after `seconds`, or at once if too many requests wait.
        """
        if self.full:
            return False
        self._count += 1
        watch = self._watches.setdefault(image_id, _Watch(time.monotonic() + _MIN_PAUSE, _MIN_PAUSE))
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

    def notice(self, image_id: str) -> None:
        """Read the record of an image now if requests wait for it. Safe to call from any thread."""
        self._longest_pause = _MAX_PAUSE_WITH_NOTICES
        poller = self._poller
        if poller is not None:
            with suppress(RuntimeError):  # the loop was closed
                poller.get_loop().call_soon_threadsafe(self._look_at, image_id)

    def _look_at(self, image_id: str) -> None:
        watch = self._watches.get(image_id)
        if watch is not None:
            watch.noticed, watch.due = True, 0.0
            self._woken.set()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._poller is None or self._poller.done() or self._poller.get_loop() is not loop:
            self._woken = asyncio.Event()
            self._poller = loop.create_task(self._poll())

    async def _poll(self) -> None:
        limiter = anyio.CapacityLimiter(1)  # not the default one, whose threads may all wait for a slow disk
        while True:
            now = time.monotonic()
            due = [image_id for image_id, watch in self._watches.items() if watch.due <= now]
            if due:
                await self._wake_changed(due, limiter)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _MIN_PAUSE)
            self._woken.clear()

    async def _wake_changed(self, image_ids: list[str], limiter: anyio.CapacityLimiter) -> None:
        for image_id in image_ids:
            self._watches[image_id].noticed = False
        try:
            found = await anyio.to_thread.run_sync(self._versions, image_ids, limiter=limiter, abandon_on_cancel=True)
        except Exception:
            log.exception("cannot read the records that requests wait for; retrying")
            found = None
        now = time.monotonic()
        for image_id in image_ids:
            watch = self._watches.get(image_id)
            if watch is not None:
                watch.postpone(now, self._longest_pause)
                if found is not None:
                    watch.wake(found.get(image_id))
