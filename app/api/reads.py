"""Reads of the database for requests: short ones on the event loop, others in threads."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")

#: Seconds of reads in threads after a long one.
_PAUSE = 1.0


class Reads:
    """Calls blocking functions that read.

    Those of a `local` database take microseconds: less than a switch to a thread and back, so they are called at once.
    A call that holds up the event loop longer than a thread may, which is the interpreter's switch interval of 5 ms,
    sends those of the next second to threads: the disk is slow, or pages are long. Reads of a remote database always
    run in threads, at the same time.
    """

    def __init__(self, *, local: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._local = local
        self._clock = clock
        self._threads_until = float("-inf")

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call the function and return its result, or raise its error."""
        started = self._clock()
        if not self._local or started < self._threads_until:
            return await run_in_threadpool(function, *arguments)
        try:
            return function(*arguments)
        finally:
            ended = self._clock()
            if ended - started > sys.getswitchinterval():
                self._threads_until = ended + _PAUSE
