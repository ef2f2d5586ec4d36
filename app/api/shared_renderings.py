"""Renderings of sizes on demand that requests of this process wait for."""

import asyncio
from collections import Counter

import anyio
import anyio.to_thread

from app.domain.errors import RendererBusy
from app.domain.ports import OnDemandRenderer, RenderedSize
from app.domain.sizes.operation import Operation

#: Threads that wait for the renderer.
_THREADS = 24
#: Sizes that are rendered or wait at the same time, in all and of one owner.
MOST, MOST_OF_OWNER = 64, 32
_RETRY_SECONDS = 2


class SharedRenderings:
    """Requests for the same size share one rendering, and too many sizes at the same time are refused."""

    def __init__(self, renderer: OnDemandRenderer, *, most: int = MOST, most_of_owner: int = MOST_OF_OWNER) -> None:
        self._renderer = renderer
        self._most, self._most_of_owner = most, most_of_owner
        self._tasks: dict[str, asyncio.Task[RenderedSize]] = {}
        self._owners: Counter[str] = Counter()
        self._limiter: anyio.CapacityLimiter | None = None

    async def render(self, owner: str, key: str, image_id: str, operation: Operation) -> RenderedSize:
        """Do what `OnDemandRenderer.render` does. `key` is that of the size.

        A rendering goes on when all of its requests are gone, because the next one will ask for it.
        """
        task = self._tasks.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            if len(self._tasks) >= self._most or self._owners[owner] >= self._most_of_owner:
                raise RendererBusy(_RETRY_SECONDS)
            task = asyncio.create_task(self._run(owner, key, image_id, operation))
            self._tasks[key] = task
            self._owners[owner] += 1
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may have no reader left
        return await asyncio.shield(task)

    async def _run(self, owner: str, key: str, image_id: str, operation: Operation) -> RenderedSize:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        try:
            return await anyio.to_thread.run_sync(self._renderer.render, image_id, operation, limiter=self._limiter)
        finally:
            del self._tasks[key]
            self._owners[owner] -= 1
            self._owners += Counter()  # removes owners without any
