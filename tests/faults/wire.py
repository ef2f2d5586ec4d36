"""Faults on the wire between the SDK and its services: where a real one would be, below the SDK's own retries."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

#: What happens in place of sending: given the means to send, answers as botocore's endpoint does.
Fault = Callable[[Callable[[], Any]], Any]
#: The fault for a request of this operation, or None to let it pass.
Script = Callable[[str], Fault | None]


class Crash(BaseException):
    """The process ends here: nothing that handles errors may see it."""


class Wire:
    """The requests of some clients. `requests` is the operations that were sent or should have been."""

    def __init__(self, *clients: Any) -> None:
        self._endpoints = [client._endpoint for client in clients]
        self._quiet = threading.local()
        self._lock = threading.Lock()
        self.requests: list[str] = []

    @contextmanager
    def under(self, script: Script) -> Iterator[None]:
        """Ask the script about every request, but not about those that a fault makes itself."""
        with self._lock:
            self.requests = []
        for endpoint in self._endpoints:
            endpoint._get_response = self._scripted(endpoint._get_response, script)
        try:
            yield
        finally:
            for endpoint in self._endpoints:
                del endpoint._get_response  # the class's own is seen again

    @contextmanager
    def at(self, number: int, fault: Fault) -> Iterator[None]:
        """The fault in place of the request of that number, counted from 1."""

        def script(_: str) -> Fault | None:
            return fault if len(self.requests) == number else None

        with self.under(script):
            yield

    def _scripted(self, send: Callable[..., Any], script: Script) -> Callable[..., Any]:
        def get_response(request: Any, operation_model: Any, context: Any) -> Any:
            if getattr(self._quiet, "on", False):
                return send(request, operation_model, context)
            with self._lock:
                self.requests.append(operation_model.name)
                fault = script(operation_model.name)
            if fault is None:
                return send(request, operation_model, context)
            self._quiet.on = True
            try:
                return fault(lambda: send(request, operation_model, context))
            finally:
                self._quiet.on = False

        return get_response


def crash(_: Callable[[], Any]) -> Any:
    """The process ends before the request is sent."""
    raise Crash


def first(action: Callable[[], object]) -> Fault:
    """Something else happens, then the request goes through."""

    def fault(send: Callable[[], Any]) -> Any:
        action()
        return send()

    return fault


def refused(code: str, status: int = 400, **more: Any) -> Fault:
    """The service answers with this error, and has done nothing."""

    def fault(_: Callable[[], Any]) -> Any:
        parsed = {
            "Error": {"Code": code, "Message": "injected"},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}, "RequestId": "injected"},
            **more,
        }
        return (AWSResponse("https://service.invalid", status, {}, io.BytesIO()), parsed), None

    return fault


def cancelled(*codes: str) -> Fault:
    """A transaction is canceled for these reasons."""
    return refused("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


def unanswered(_: Callable[[], Any]) -> Any:
    """The request is lost, and no answer comes."""
    return None, ReadTimeoutError(endpoint_url="https://service.invalid")


def answer_lost(send: Callable[[], Any]) -> Any:
    """The service does as it is asked, and its answer is lost."""
    send()
    return unanswered(send)
