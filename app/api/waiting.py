"""Waiting for an image to be ready or failed."""

import asyncio
import re
import time

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from app.api.http.log_fields import phase_timer
from app.api.middleware.deadline import seconds_left
from app.api.services import Services
from app.domain.models import Image, Status

MAX_WAIT_SECONDS = 20
WAIT_DESCRIPTION = "Wait until the image is `ready` or `failed`, for at most this number of seconds."

_RESPONSE_SECONDS = 1.0  # reserved for the response if the request has a deadline
_PREFERENCE = re.compile(r"""(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?=$|[,;\s])""", re.IGNORECASE)


def parse_preferred_wait(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=` (RFC 7240 section 4.3), at most `MAX_WAIT_SECONDS`; None without it."""
    found = _PREFERENCE.search((prefer or "")[:1000])
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else None


async def wait_until_processed(
    request: Request, services: Services, owner: str | None, image: Image, seconds: float
) -> Image:
    """Wait for at most `seconds` until the image is no longer pending, and return it.

    Stop waiting if too many requests wait, if the client closes the connection or its side of it, or if the server
    stops. Raises `NotFound` if the image is deleted meanwhile.
    """
    deadline = seconds_left(request.scope)
    end = time.monotonic() + (seconds if deadline is None else min(seconds, deadline - _RESPONSE_SECONDS))
    while image.status is Status.PENDING and (left := end - time.monotonic()) > 0:
        with phase_timer(request.scope).phase("wait"):
            if not await _changed(request, services, image, left):
                break
            image = await run_in_threadpool(services.images.get, owner, image.id)
    return image


async def _changed(request: Request, services: Services, image: Image, seconds: float) -> bool:
    """Return True if the record changes within `seconds`; False also if the client disconnects."""
    change = asyncio.create_task(services.waiters.changed(image.id, image.version, seconds))
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({change, gone}, return_when=asyncio.FIRST_COMPLETED)
        return change.done() and change.result()
    finally:
        for task in (change, gone):
            task.cancel()
        await asyncio.gather(change, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    """Wait until the client closes the connection, or the server stops."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
