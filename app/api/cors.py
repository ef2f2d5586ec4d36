"""What other sites' pages may call, told to their browsers."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem

_ALLOWED: Mapping[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    "allow_headers": [
        "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "X-API-Key",
        "X-Request-Id", "x-amz-checksum-sha256",
    ],
    "expose_headers": ["ETag", "Link", "Location", "Retry-After", "X-Request-Id"],
    "max_age": 600,
}  # fmt: skip


class Cors(CORSMiddleware):
    """Lets the pages of these origins call. A refusal is a problem, as every other is."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(app, allow_origins=origins, **_ALLOWED)

    def preflight_response(self, request_headers: Headers) -> Response:
        """See `CORSMiddleware`."""
        answer = super().preflight_response(request_headers)
        return answer if answer.status_code < 400 else _Refused(answer)


class _Refused(Response):
    def __init__(self, told: Response) -> None:
        super().__init__(status_code=told.status_code)
        what = bytes(told.body).decode().removeprefix("Disallowed CORS ")
        self._detail = f"Pages of other sites may not call like this. Not allowed: {what}."
        kept = ("vary", "access-control-")
        self._kept = {name: value for name, value in told.headers.items() if name.startswith(kept)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(scope, self.status_code, "cors_refused", self._detail, headers=self._kept)
        await answer(scope, receive, send)
