"""In-process clients of the self-hosted service and of the Lambda function. They follow no redirects."""

from contextlib import ExitStack

import httpx
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from app.api.middleware.gateway import Gateway
from tests.on_aws.gateway import Functions, build_handler

_ADDRESS = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"


class InProcess(httpx.BaseTransport):
    """Requests to an application on an event loop in another thread, until closed.

    Starlette's test client does the same with nine switches of threads per request instead of one.
    """

    def __init__(self, app: FastAPI, prefix: str, peer: str) -> None:
        self._inner = httpx.ASGITransport(app, root_path=prefix, client=(peer, 50000))
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()  # also makes a body of an iterator readable on the event loop
        return self._portal.call(self._answer, request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

    def close(self) -> None:
        self._stack.close()


def self_hosted_client(app: FastAPI, prefix: str = "", peer: str = "testclient") -> httpx.Client:
    """Return a client of the application as a server runs it, with a path prefix (`--root-path`).

    `peer` is the address that the connection comes from.
    """
    return httpx.Client(transport=InProcess(app, prefix, peer), base_url="http://testserver", follow_redirects=False)


def lambda_client(gateway: Gateway, prefix: str = "") -> httpx.Client:
    """Return a client of the application in a function behind an HTTP API, in a stage named like the prefix."""
    transport = Functions(build_handler(gateway), prefix.strip("/") or "$default")
    return httpx.Client(transport=transport, base_url=_ADDRESS, follow_redirects=False)
