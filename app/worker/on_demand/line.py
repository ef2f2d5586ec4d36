"""Line of requests for sizes: bounded, fair between owners, and one rendering for equal requests."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.domain.errors import RendererBusy

Result = TypeVar("Result")

#: Requests that wait, in all and by owner, and the seconds for which one waits.
MAX_WAITING, MAX_WAITING_OF_OWNER = 64, 48
WAIT_SECONDS = 15.0
#: Seconds until a refused caller may ask again.
RETRY_SECONDS = 2


@dataclass
class _Shared(Generic[Result]):
    """A rendering, and the number of requests that wait for it."""

    task: "asyncio.Task[Result]" = field(init=False)
    requests: int = 0
    is_started: bool = False


@dataclass
class RenderLine(Generic[Result]):
    """At most `at_once` renderings at a time. Owners that wait take turns.

    It belongs to one event loop. Every method must be called there.
    """

    at_once: int
    max_waiting: int = MAX_WAITING
    max_waiting_of_owner: int = MAX_WAITING_OF_OWNER
    wait_seconds: float = WAIT_SECONDS
    _running: int = field(default=0, init=False)
    _waiting: "OrderedDict[str, deque[asyncio.Future[None]]]" = field(default_factory=OrderedDict, init=False)
    _is_closed: bool = field(default=False, init=False)
    _shared: dict[object, _Shared[Result]] = field(default_factory=dict, init=False)

    async def ask(self, owner: str, key: object, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of `work`, or of that of another request with the same key that has not ended.

        A rendering whose requests have all ended leaves the line. Raises `RendererBusy` if the line is full, and
        after the longest wait.
        """
        shared = self._shared.get(key)
        if shared is None:
            self._check_room(owner)
            shared = self._shared[key] = _Shared()
            shared.task = asyncio.create_task(self._run(owner, shared, work))
            shared.task.add_done_callback(lambda _: self._forget(key, shared))
        shared.requests += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.requests -= 1
            if not shared.requests and not shared.is_started:
                self._forget(key, shared)
                shared.task.cancel()

    def _forget(self, key: object, shared: _Shared[Result]) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]
        if shared.task.done() and not shared.task.cancelled():
            shared.task.exception()  # it may have no reader left

    def close(self) -> None:
        """Refuse all requests that wait for a turn, and all later ones."""
        self._is_closed = True
        for line in self._waiting.values():
            for turn in line:
                turn.set_exception(RendererBusy(RETRY_SECONDS))
        self._waiting.clear()

    def _check_room(self, owner: str) -> None:
        if self._running < self.at_once and not self._is_closed:
            return
        waiting = sum(map(len, self._waiting.values()))
        if (
            self._is_closed
            or waiting >= self.max_waiting
            or len(self._waiting.get(owner, ())) >= self.max_waiting_of_owner
        ):
            raise RendererBusy(RETRY_SECONDS)

    async def _run(self, owner: str, shared: _Shared[Result], work: Callable[[], Awaitable[Result]]) -> Result:
        await self._wait(owner)
        shared.is_started = True
        try:
            return await work()
        finally:
            self._running -= 1
            self._call_next()

    async def _wait(self, owner: str) -> None:
        """Wait for a turn, which counts as running from then on."""
        if self._is_closed:  # since the request was let in
            raise RendererBusy(RETRY_SECONDS)
        if self._running < self.at_once:
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = self._waiting.setdefault(owner, deque())
        line.append(turn)
        try:
            await asyncio.wait_for(asyncio.shield(turn), self.wait_seconds)
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done():  # it came at the same moment
                self._running -= 1
                self._call_next()
            else:
                line.remove(turn)
                if not line and self._waiting.get(owner) is line:
                    del self._waiting[owner]
            if isinstance(error, TimeoutError):
                raise RendererBusy(RETRY_SECONDS) from None
            raise

    def _call_next(self) -> None:
        """Give the free turn to the owner that has waited longest for one."""
        if not self._waiting:
            return
        owner, line = self._waiting.popitem(last=False)
        self._running += 1
        line.popleft().set_result(None)
        if line:
            self._waiting[owner] = line  # last in turn
