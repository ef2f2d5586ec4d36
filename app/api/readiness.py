"""Readiness checks, shared by all callers."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import anyio
import anyio.to_thread

from app.domain.errors import Full

log = logging.getLogger(__name__)

#: Seconds for which a result is cached. A check writes to the disk, and the route needs no API key.
CACHE_SECONDS = 1.0
#: Seconds after which backends that have not answered count as failed.
TIMEOUT_SECONDS = 5.0


class Readiness(NamedTuple):
    """Names of the backends that do not work: `failed` do not answer, `full` accept no more bytes."""

    failed: tuple[str, ...] = ()
    full: tuple[str, ...] = ()


class ReadinessProbe:
    """Runs the checks in one thread, one run at a time, for any number of callers.

    `checks` have neutral names and raise if their backend does not work.
    """

    def __init__(self, checks: Mapping[str, Callable[[], None]]) -> None:
        self._checks = checks
        self._running: asyncio.Task[None] | None = None
        self._started = 0.0
        self._results: dict[str, Exception | None] = {}
        self._good_until = 0.0

    async def result(self) -> Readiness:
        """Return the cached result, or else that of the current run or a new one."""
        if time.monotonic() >= self._good_until:
            await self._run()
        named = self._results.copy()  # a run that timed out continues in its thread
        full = tuple(name for name, error in named.items() if isinstance(error, Full))
        failed = tuple(name for name in self._checks if name not in full and (name not in named or named[name]))
        return Readiness(failed, full)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        running = self._running
        if running is None or running.done() or running.get_loop() is not loop:
            self._started, self._results = time.monotonic(), {}
            limiter = anyio.CapacityLimiter(1)  # not the default one, whose threads may all wait for a slow disk
            thread = anyio.to_thread.run_sync(self._check_all, self._results, limiter=limiter, abandon_on_cancel=True)
            self._running = running = loop.create_task(thread)
        await asyncio.wait({running}, timeout=max(0, self._started + TIMEOUT_SECONDS - time.monotonic()))

    def _check_all(self, results: dict[str, Exception | None]) -> None:
        for name, check in self._checks.items():
            try:
                check()
            except Exception as error:
                log.exception("not ready: %s", name)
                results[name] = error
            else:
                results[name] = None
        self._good_until = time.monotonic() + CACHE_SECONDS
