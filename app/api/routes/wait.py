"""Waiting for an image to be ready or failed."""

import asyncio
import re
import time

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from app.api.http.log_fields import clock_of
from app.api.middleware.deadline import seconds_left
from app.api.waiters import Waiters
from app.domain.images.service import Images
from app.domain.models import Image, Status

MOST_SECONDS = 20

_TO_ANSWER = 1.0  # seconds that are left for the answer where a request has a deadline
_PREFERENCE = re.compile(r"""(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?=$|[,;\s])""", re.IGNORECASE)


def preferred_wait(prefer: str | None) -> int | None:
    """Seconds in a `Prefer: wait=` header (RFC 7240 section 4.3), at most `MOST_SECONDS`; None if it has none."""
    found = _PREFERENCE.search((prefer or "")[:1000])
    return min(int(found[1]), MOST_SECONDS) if found else None


def may_wait(request: Request) -> bool:
    """Return False while too many requests wait."""
    waiters: Waiters = request.app.state.waiters
    return not waiters.full


async def settled(request: Request, images: Images, owner: str | None, image: Image, seconds: float) -> Image:
    """Return the image once it is no longer pending, or as it is after so many seconds, or when too many requests wait.

    Do not wait any longer when the client has closed the connection, or its side of it, or when the server stops.
    Raises `NotFound` if the image is deleted meanwhile.
    """
    deadline = seconds_left(request.scope)
    end = time.monotonic() + (seconds if deadline is None else min(seconds, deadline - _TO_ANSWER))
    while image.status is Status.PENDING and (left := end - time.monotonic()) > 0:
        with clock_of(request.scope).phase("wait"):
            if not await _changed(request, image, left):
                break
            image = await run_in_threadpool(images.get, owner, image.id)
    return image


async def _changed(request: Request, image: Image, seconds: float) -> bool:
    """Return True if the record has changed within so many seconds, False also if no further input can come."""
    waiters: Waiters = request.app.state.waiters
    change = asyncio.create_task(waiters.changed(image.id, image.version, seconds))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({change, gone}, return_when=asyncio.FIRST_COMPLETED)
        return change.done() and change.result()
    finally:
        for task in (change, gone):
            task.cancel()
        await asyncio.gather(change, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    """Return when the client has closed the connection, or the server stops."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
