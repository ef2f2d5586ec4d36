"""Base class of the pure ASGI middleware."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HttpMiddleware:
    """Middleware for HTTP requests: subclasses implement `handle` and call `self._app`. Other scopes pass through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one ASGI connection."""
        return (self.handle if scope["type"] == "http" else self._app)(scope, receive, send)

    def handle(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one HTTP request."""
        raise NotImplementedError  # each subclass implements it


class TrackedSend:
    """An ASGI `send` that records if a response has started."""

    def __init__(self, send: Send) -> None:
        self.started = False
        self._send = send

    def __call__(self, message: Message) -> Awaitable[None]:
        """Send a message."""
        self.started = True
        return self._send(message)
