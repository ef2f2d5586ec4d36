"""Waiting for an image to be ready or failed."""

import re
import time

import anyio
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app.api.deadlines import seconds_left
from app.api.notes import clock_of
from app.domain.images import Images
from app.domain.models import Image, Status

MOST_SECONDS = 20

_SHORTEST, _LONGEST = 0.05, 0.25
_TO_ANSWER = 1.0  # seconds that are left for the answer where a request has a deadline
_PREFERENCE = re.compile(r"""(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?=$|[,;\s])""", re.IGNORECASE)


def preferred_wait(prefer: str | None) -> int | None:
    """Seconds in a `Prefer: wait=` header (RFC 7240 section 4.3), at most `MOST_SECONDS`; None if it has none."""
    found = _PREFERENCE.search((prefer or "")[:1000])
    return min(int(found[1]), MOST_SECONDS) if found else None


async def settled(request: Request, images: Images, owner: str | None, image: Image, seconds: float) -> Image:
    """The image once it is no longer pending, or as it is after so many seconds.

    Raises `NotFound` if it is deleted meanwhile, and `ClientDisconnect` if nobody waits any more.
    """
    deadline = seconds_left(request.scope)
    end = time.monotonic() + (seconds if deadline is None else min(seconds, deadline - _TO_ANSWER))
    pause = _SHORTEST
    while image.status is Status.PENDING and (left := end - time.monotonic()) > 0:
        with clock_of(request.scope).phase("wait"):
            await anyio.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST)
            if await request.is_disconnected():
                raise ClientDisconnect
            image = await run_in_threadpool(images.get, owner, image.id)
    return image
