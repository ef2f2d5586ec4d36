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

    Reads of a `local` database take microseconds. A switch to a thread and back takes longer, so they run on the event
    loop. After one that took longer than the interpreter's switch interval (5 ms), because the disk is slow or the page
    long, reads run in threads for a second: a thread lets the event loop go on at that interval. Reads of a remote
    database always run in threads, several at the same time.
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
