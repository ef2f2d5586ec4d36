"""Deadline of requests: a response is sent before the gateway gives up."""

import asyncio
import time
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.api.http.problem_catalog import refusal
from app.api.http.problems import problem_response
from app.api.middleware.http_middleware import HttpMiddleware

#: Key of the deadline in the state of a request, in seconds of `time.monotonic`.
DEADLINE = "deadline"

#: Seconds that a canceled request may take to release its resources.
_UNWIND_SECONDS = 0.2

_late: set[asyncio.Task[Any]] = set()


def seconds_left(scope: Scope) -> float | None:
    """Return the seconds until the request's deadline, at least 0; None if it has no deadline."""
    deadline = scope.get("state", {}).get(DEADLINE)
    return None if deadline is None else max(0.0, float(deadline) - time.monotonic())


class Deadline(HttpMiddleware):
    """Cancel a request at its deadline and answer 503.

    The response is buffered, so that it is sent whole or not at all. Threads that wait for a backend cannot be
    canceled. They end later, within the time-outs of the backend's client, and their changes are kept.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `HttpMiddleware`."""
        left = seconds_left(scope)
        if left is None:
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        async def run() -> None:
            await self._app(scope, receive, keep)

        task = asyncio.create_task(run())
        done, _ = await asyncio.wait({task}, timeout=left)
        if done:
            task.result()
            for message in messages:
                await send(message)
            return
        _late.add(task)
        task.add_done_callback(_forget)
        task.cancel()
        await asyncio.wait({task}, timeout=_UNWIND_SECONDS)
        await problem_response(scope, refusal("out_of_time", headers={"Retry-After": "2"}))(scope, receive, send)


def _forget(task: asyncio.Task[Any]) -> None:
    _late.discard(task)
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not log it
