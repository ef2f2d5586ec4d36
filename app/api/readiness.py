"""Readiness, probed for all callers together."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anyio
import anyio.to_thread

from app.domain.errors import Full

log = logging.getLogger(__name__)

#: Seconds that a result is good for. A probe writes to the disk, and anybody may ask.
GOOD_SECONDS = 1.0
#: Seconds after which parts that have not answered count as failed.
PATIENCE = 5.0


@dataclass(frozen=True)
class Readiness:
    """Names of the parts that do not work: `failed` do not answer, `full` take no more bytes."""

    failed: tuple[str, ...] = ()
    full: tuple[str, ...] = ()


class Probe:
    """Runs the checks in one thread, one run at a time, whatever the number of callers.

    `checks` are named neutrally and raise when their part does not work.
    """

    def __init__(self, checks: Mapping[str, Callable[[], None]]) -> None:
        self._checks = checks
        self._running: asyncio.Task[None] | None = None
        self._started = 0.0
        self._results: dict[str, Exception | None] = {}
        self._good_until = 0.0

    async def result(self) -> Readiness:
        """Return the last result if it is good still, else that of the run that is under way, or of a new one."""
        if time.monotonic() >= self._good_until:
            await self._run()
        named = self._results.copy()  # a run that was given up goes on in its thread
        full = tuple(name for name, error in named.items() if isinstance(error, Full))
        failed = tuple(name for name in self._checks if name not in full and (name not in named or named[name]))
        return Readiness(failed, full)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        running = self._running
        if running is None or running.done() or running.get_loop() is not loop:
            self._started, self._results = time.monotonic(), {}
            limiter = anyio.CapacityLimiter(1)  # its own: threads that wait for a slow disk must not delay it
            thread = anyio.to_thread.run_sync(self._check_all, self._results, limiter=limiter, abandon_on_cancel=True)
            self._running = running = loop.create_task(thread)
        await asyncio.wait({running}, timeout=max(0, self._started + PATIENCE - time.monotonic()))

    def _check_all(self, results: dict[str, Exception | None]) -> None:
        for name, check in self._checks.items():
            try:
                check()
            except Exception as error:
                log.exception("not ready: %s", name)
                results[name] = error
            else:
                results[name] = None
        self._good_until = time.monotonic() + GOOD_SECONDS
