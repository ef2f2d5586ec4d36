"""API Gateway and Lambda as a client sees them: an httpx transport that invokes the entry point.

A request becomes an event of an HTTP API (payload format 2.0), the event an invocation of what `app.lambda_api` builds,
and its result an answer. The payload limits are those of AWS's pages "Lambda quotas" and "HTTP API quotas".
"""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import httpx
from mangum import Mangum

from app.api.middleware.gateway import TEXT_TYPES, Gateway

#: Bytes of an event, and of an answer, that an invocation can carry.
PAYLOAD = 6 * 1024 * 1024
SECONDS = 30
_TEXT = ("text/", "application/json", "application/javascript", "application/xml")
# Of one hop: the gateway ends the client's connection, and reads its body to the end.
_HOP = frozenset({"connection", "content-length", "expect", "keep-alive", "te", "transfer-encoding", "upgrade"})

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


class Context:
    """Context that Lambda passes to a function."""

    function_name = "api"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:api"
    memory_limit_in_mb = 512

    def __init__(self, seconds: float = SECONDS) -> None:
        self.aws_request_id = str(uuid4())
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function is ended."""
        return int(1000 * (self._end - time.monotonic()))


class Functions(httpx.BaseTransport):
    """Execution environments of one function: each takes one request at a time, and there are as many as it needs.

    `make` builds the handler, in the environment's own thread and with its own event loop. Of a `stage` only
    what lies below its name can be reached.
    """

    def __init__(self, make: Callable[[], Handler], stage: str = "$default") -> None:
        self._make = make
        self._stage = stage
        self._guard = threading.Lock()
        self._idle: list[_Environment] = []
        self._all: list[_Environment] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""
        if self._stage != "$default" and not f"{request.url.path}/".startswith(f"/{self._stage}/"):
            return httpx.Response(404, json={"message": "Not Found"}, request=request)
        payload = json.dumps(event_of(request, self._stage))
        if len(payload) > PAYLOAD:
            return httpx.Response(413, json={"message": "Request Entity Too Large"}, request=request)
        environment = self._take()
        try:
            answer = environment.invoke(json.loads(payload))
        finally:
            with self._guard:
                self._idle.append(environment)
        return answer_of(answer)

    def close(self) -> None:
        """End every environment."""
        for environment in self._all:
            environment.end()

    def _take(self) -> "_Environment":
        with self._guard:
            if self._idle:
                return self._idle.pop()
        environment = _Environment(self._make)
        with self._guard:
            self._all.append(environment)
        return environment


class _Environment:
    """A thread, an event loop and a handler that live on from one invocation to the next."""

    def __init__(self, make: Callable[[], Handler]) -> None:
        self._thread = ThreadPoolExecutor(1, "function")
        self._loop = asyncio.new_event_loop()
        self._handler = self._thread.submit(self._start, make).result()

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        result = self._thread.submit(self._handler, event, Context()).result()
        text = json.dumps(result)
        assert len(text) <= PAYLOAD, "Function.ResponseSizeTooLarge"
        answer: dict[str, Any] = json.loads(text)
        return answer

    def end(self) -> None:
        self._thread.submit(self._stop).result()
        self._thread.shutdown()

    def _stop(self) -> None:
        # The generator of a refused body is closed by a task that may still wait for a turn of the loop.
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _start(self, make: Callable[[], Handler]) -> Handler:
        asyncio.set_event_loop(self._loop)
        return make()


def build_handler(gateway: Gateway) -> Callable[[], Handler]:
    """Wrap an application as `app.lambda_api` does, over services of the test's choice."""
    return lambda: Mangum(gateway, lifespan="off", text_mime_types=[*TEXT_TYPES])


def event_of(request: httpx.Request, stage: str = "$default") -> dict[str, Any]:
    """The event that an HTTP API makes of a request."""
    body = request.read()
    headers: dict[str, list[str]] = {}
    for raw_name, raw_value in request.headers.raw:
        headers.setdefault(raw_name.decode("latin-1").lower(), []).append(_text(raw_value))
    cookies = [pair.strip() for line in headers.pop("cookie", []) for pair in line.split(";")]
    kept = {name: ",".join(values) for name, values in headers.items() if name not in _HOP}
    if body or request.method in {"POST", "PUT", "PATCH"}:
        kept["content-length"] = str(len(body))
    kept |= {"x-forwarded-for": "203.0.113.7", "x-forwarded-port": "443", "x-forwarded-proto": "https"}
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": kept,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": request.url.host,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": kept.get("user-agent", ""),
            },
            "requestId": base64.urlsafe_b64encode(uuid4().bytes[:11]).decode(),
            "routeKey": "$default",
            "stage": stage,
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _parameters(query)
    if body:
        event["body"], event["isBase64Encoded"] = _body(body, kept.get("content-type", ""))
    return event


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(unquote(name), []).append(unquote(value))
    return {name: ",".join(values) for name, values in found.items()}


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    """Return the body as text if its type and bytes are text, otherwise in base64."""
    if content_type.strip().lower().startswith(_TEXT):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def answer_of(answer: dict[str, Any]) -> httpx.Response:
    """Return the response that a client gets for a function's result."""
    body = answer.get("body", "")
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    headers = [(name, str(value)) for name, value in (answer.get("headers") or {}).items()]
    headers += [("set-cookie", cookie) for cookie in answer.get("cookies", [])]
    return httpx.Response(answer["statusCode"], headers=headers, content=content)
