"""An answer to every request before whoever waits for it gives up."""

import asyncio
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.problems import problem

#: The name under which the state of a request holds its end, on the clock of `time.monotonic`.
DEADLINE = "deadline"

#: How long the rest of a cancelled request may take to let go of what it holds.
_UNWIND_SECONDS = 0.2

_late: set[asyncio.Task[Any]] = set()


def seconds_left(scope: Scope) -> float | None:
    """Until the request's deadline, not less than none; None if it has no deadline."""
    deadline = scope.get("state", {}).get(DEADLINE)
    return None if deadline is None else max(0.0, float(deadline) - time.monotonic())


class InTime:
    """Answers 503 at the deadline of a request that has one, done or not. Half an answer is never sent.

    What was begun is cancelled. A thread that waits for a backend cannot be: it ends behind our back, within the
    time-outs of its client, and what it has done by then is done.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pure ASGI."""
        left = seconds_left(scope)
        if left is None:
            await self._app(scope, receive, send)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        async def run() -> None:
            await self._app(scope, receive, keep)

        task = asyncio.create_task(run())
        done, _ = await asyncio.wait({task}, timeout=left)
        if done:
            task.result()
            for message in answer:
                await send(message)
            return
        _late.add(task)
        task.add_done_callback(_forget)
        task.cancel()
        await asyncio.wait({task}, timeout=_UNWIND_SECONDS)
        detail = "The service did not get done in time. Try again in a moment."
        await problem(scope, 503, "out_of_time", detail, headers={"Retry-After": "2"})(scope, receive, send)


def _forget(task: asyncio.Task[Any]) -> None:
    _late.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nobody complains that it was not
