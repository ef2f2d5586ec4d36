"""Short blocking calls in a thread, those of concurrent requests together."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")
_Call = tuple["asyncio.Future[Any]", Callable[[], Any]]


class Batches:
    """Runs blocking calls in threads.

    If the calls are `short`, such as reads of a local database, those that requests make in one iteration of the event
    loop share a thread: switching to it and back takes longer than a call. Others, such as requests to a remote
    database, run at the same time.
    """

    def __init__(self, *, short: bool) -> None:
        self._short = short
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[_Call] = []

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call the function and return its result, or raise its error."""
        if not self._short:
            return await run_in_threadpool(function, *arguments)
        loop = asyncio.get_running_loop()
        if self._loop is not loop or not self._waiting:
            self._loop, self._waiting = loop, []
            loop.call_soon(self._start, loop, self._waiting)
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((future, lambda: function(*arguments)))
        return await future

    def _start(self, loop: asyncio.AbstractEventLoop, calls: list[_Call]) -> None:
        if self._waiting is calls:
            self._waiting = []
        loop.run_in_executor(None, _run, loop, calls)


def _run(loop: asyncio.AbstractEventLoop, calls: list[_Call]) -> None:
    done: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
    for future, call in calls:
        try:
            done.append((future, call(), None))
        except Exception as error:  # noqa: BLE001 - raised where the result is awaited
            done.append((future, None, error))
    loop.call_soon_threadsafe(_finish, done)


def _finish(done: list[tuple["asyncio.Future[Any]", Any, BaseException | None]]) -> None:
    for future, result, error in done:
        if future.cancelled():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
