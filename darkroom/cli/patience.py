"""Patience with a server that restarts: operations are repeated once it answers again."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from darkroom.errors import DarkroomError, Unreachable

T = TypeVar("T")
#: Pause between two looks at a server that does not answer.
_PAUSE_SECONDS = 0.5
#: Times that an operation is repeated that fails although the server answers.
_REPEATS = 2


class Stopped(Exception):
    """The run was stopped before the operation."""


class Patience:
    """Repeats operations of several threads after a server was away for at most `seconds`.

    Only operations that are safe to repeat may be given. A server that has never answered is not waited for.
    `ping` raises `Unreachable` while the server does not answer. `on_lost` is called when it stops answering.
    """

    def __init__(self, ping: Callable[[], None], seconds: float, on_lost: Callable[[float], None]) -> None:
        self._ping, self._seconds, self._on_lost = ping, seconds, on_lost
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._heard: float | None = None

    def stop(self) -> None:
        """End all waiting, and refuse further operations."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """True after `stop`."""
        return self._stopped.is_set()

    def keep(self, operation: Callable[[], T]) -> T:
        """Return the result of the operation.

        Raises its error if the server answers, `Unreachable` if it stays away, and `Stopped` after `stop`.
        """
        if self._heard is None:
            self._ping()
            self._heard = time.monotonic()
        repeats = 0
        while True:
            if self.stopped:
                raise Stopped
            begun = time.monotonic()
            try:
                result = operation()
            except DarkroomError as error:
                if not error.is_temporary:
                    raise
                if self._heard < begun:
                    self._wait_for_answer()
                if repeats == _REPEATS:
                    raise
                repeats += 1
            else:
                self._heard = time.monotonic()
                return result

    def _wait_for_answer(self) -> None:
        with self._lock:  # one thread asks for all
            end = time.monotonic() + self._seconds
            told = False
            while True:
                try:
                    self._ping()
                except Unreachable:
                    if time.monotonic() > end:
                        self._seconds = 0  # the other threads have waited, too
                        raise
                    if not told:
                        self._on_lost(self._seconds)
                        told = True
                    if self._stopped.wait(_PAUSE_SECONDS):
                        raise Stopped from None
                else:
                    self._heard = time.monotonic()
                    return
