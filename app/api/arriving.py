"""Any request's body as it comes, for as long as it does come."""

import time
from collections.abc import AsyncIterator

import anyio
from fastapi import HTTPException, Request

#: A client that is silent for so long, or slower than this in the mean after as long, is gone or means harm.
IDLE_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 1024


async def arriving(request: Request) -> AsyncIterator[bytes]:
    """The pieces of the body. Ends the request with 408 when they stop coming, or come too slowly.

    Raises `ClientDisconnect` if the client goes away before the end.
    """
    started = time.monotonic()
    received = 0
    chunks = aiter(request.stream())
    while True:
        try:
            with anyio.fail_after(IDLE_SECONDS):
                chunk = await anext(chunks, b"")
        except TimeoutError:
            raise HTTPException(408, f"Nothing has come for {IDLE_SECONDS:.0f} seconds.") from None
        if not chunk:
            return
        received += len(chunk)
        if received < (time.monotonic() - started - IDLE_SECONDS) * LEAST_BYTES_PER_SECOND:
            raise HTTPException(408, "The body comes too slowly.")
        yield chunk
