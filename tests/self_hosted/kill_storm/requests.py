"""Requests of a client that is as stubborn as clients should be."""

import threading
from collections.abc import Callable

import httpx

from tests.self_hosted.kill_storm.ledger import Ledger

#: Answers after which a client tries the same again.
_AGAIN = frozenset({408, 409, 429, 503})
#: Codes of conflicts that no repetition ends.
_FINAL = frozenset({"trashed"})


class Stopped(Exception):
    """The storm is over: what was not acknowledged by now is not waited for."""


class Requests:
    """Sends requests again until they have an answer."""

    def __init__(self, ledger: Ledger, stop: threading.Event) -> None:
        self._ledger = ledger
        self._stop = stop

    def answer(self, call: Callable[[], httpx.Response], expected: set[int]) -> httpx.Response:
        """Return the answer with an expected status. Raises `Stopped` at the end of the storm, and for a surprise."""
        while not self._stop.is_set():
            try:
                answer = call()
            except httpx.TransportError:
                self._stop.wait(0.1)
                continue
            if answer.status_code in expected:
                return answer
            if answer.status_code not in _AGAIN or (answer.status_code == 409 and answer.json()["code"] in _FINAL):
                self.surprise(f"{answer.request.method} {answer.request.url} {answer.status_code}: {answer.text[:300]}")
            self._stop.wait(0.2)
        raise Stopped

    def surprise(self, what: str) -> None:
        """Note what no client should see, and end this client."""
        self._ledger.surprises.append(what)
        raise Stopped
