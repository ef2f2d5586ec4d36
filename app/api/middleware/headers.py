"""Default response headers, and HEAD for every GET route."""

from collections.abc import Awaitable, Mapping

from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.http_middleware import HttpMiddleware

_DEFAULTS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}


_METHOD = "client_method"


def get_client_method(scope: Scope) -> str:
    """Return the method that the client sent. Routes see HEAD as GET."""
    method: str = scope["state"].get(_METHOD, scope["method"])
    return method


def add_response_headers(message: Message, request_id: str, fields: Mapping[str, str]) -> None:
    """Add the request id and these fields to the start of a response, and default headers that it does not set.

    Pages and files have a policy of their own.
    """
    headers: list[tuple[bytes, bytes]] = [each for each in message["headers"] if each[0] != b"x-request-id"]
    names = {name for name, _ in headers}
    headers += [each for each in _DEFAULTS.items() if each[0] not in names]
    headers.append((b"x-request-id", request_id.encode("ascii")))
    headers += [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in fields.items()]
    message["headers"] = headers


class HeadAsGet(HttpMiddleware):
    """Answer HEAD like GET, without the body. `/files/` handles HEAD itself, without opening the file."""

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """See `HttpMiddleware`."""
        if scope["method"] != "HEAD" or scope["path"].startswith(f"{scope.get('root_path', '').rstrip('/')}/files/"):
            return self._app(scope, receive, send)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["state"][_METHOD] = "HEAD"
        return self._app({**scope, "method": "GET"}, receive, sending)
