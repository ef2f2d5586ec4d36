"""Small JSON bodies: of tickets, changes, look-ups and share links."""

from collections.abc import Mapping, Sequence

from fastapi import Request

from app.api.http.body_stream import stream_body
from app.api.http.json_object import JsonObject
from app.api.http.problem_catalog import refusal

#: Most bytes of most bodies.
MAX_BYTES = 64 * 1024


async def read_json_body(
    request: Request,
    accepted: Sequence[str] = ("application/json",),
    *,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """Read a body of one of the accepted types. Raises `unsupported_body`, with these headers, and `body_too_large`."""
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form not in accepted:
        detail = f"Unsupported body (found: {form[:80] or 'no Content-Type'}). Send {' or '.join(accepted)}."
        raise refusal("unsupported_body", detail, headers=headers, found=form[:80] or None, accepted=list(accepted))
    return await _read(request, max_bytes)


async def read_optional_object(request: Request, known: Sequence[str]) -> JsonObject:
    """Read a JSON object with these members. No body at all counts as an empty object."""
    if "content-type" not in request.headers and not await _read(request, MAX_BYTES):
        return JsonObject({})
    return JsonObject.parse(await read_json_body(request), known)


async def _read(request: Request, max_bytes: int) -> bytes:
    body = b""
    async for chunk in stream_body(request):
        body += chunk
        if len(body) > max_bytes:
            raise refusal("body_too_large", limit_bytes=max_bytes, received_bytes=len(body))
    return body
