"""Default response headers, and HEAD for every GET route."""

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.http_middleware import HttpMiddleware

_DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


_METHOD = "client_method"


def get_client_method(scope: Scope) -> str:
    """Return the method that the client sent. Routes see HEAD as GET."""
    method: str = scope["state"].get(_METHOD, scope["method"])
    return method


class SecurityHeaders(HttpMiddleware):
    """Add default headers to responses that do not set them. Pages and files have a policy of their own."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `HttpMiddleware`."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _DEFAULTS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


class HeadAsGet(HttpMiddleware):
    """Answer HEAD like GET, without the body. `/files/` handles HEAD itself, without opening the file."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `HttpMiddleware`."""
        prefix = scope.get("root_path", "").rstrip("/")
        if scope["method"] != "HEAD" or scope["path"].startswith(f"{prefix}/files/"):
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["state"][_METHOD] = "HEAD"
        scope = dict(scope)
        scope["method"] = "GET"
        await self._app(scope, receive, sending)
