"""Memory that the child processes of a worker may use together."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Memory in MB of a child process in addition to its bound: interpreter and codecs.
PROCESS_MB = 45
#: Seconds between two questions of a waiting thread whether it should give up.
_QUESTION_SECONDS = 0.2


class NotStarted(Exception):
    """The worker stops before the image got its memory. The delivery does not count as an attempt."""


class MemoryBudget:
    """`total_mb` for all child processes, given to one image after the other in the order of their requests.

    The first in line keeps its place until there is enough, so large images are not overtaken by small ones forever. An
    image that needs more than the whole budget is processed when no other one is.
    """

    def __init__(self, total_mb: int) -> None:
        self._total = total_mb
        self._used = 0
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def first_in_line(self, give_up: Callable[[], bool]) -> Iterator[None]:
        """Wait in line until all earlier ones have their memory. Raises `NotStarted` once `give_up()` is true."""
        place = object()
        with self._changed:
            self._line.append(place)
        try:
            self._wait(lambda: self._line[0] is place, give_up)
            yield
        finally:
            with self._changed:
                self._line.remove(place)
                self._changed.notify_all()

    def take(self, mb: int, give_up: Callable[[], bool]) -> None:
        """Wait, as the first in line, until memory for a child process with that bound is free, and take it. Raises
        `NotStarted` once `give_up()` is true."""
        with self._changed:
            self._wait(lambda: self._fits(mb), give_up)
            self._used += mb + PROCESS_MB

    @contextmanager
    def held(self, mb: int) -> Iterator[None]:
        """Free the memory of a `take` at the end."""
        try:
            yield
        finally:
            self._give_back(mb)

    def _fits(self, mb: int) -> bool:
        return self._used == 0 or self._used + mb + PROCESS_MB <= self._total

    def _wait(self, is_ready: Callable[[], bool], give_up: Callable[[], bool]) -> None:
        with self._changed:
            while not give_up():
                if is_ready():
                    return
                self._changed.wait(_QUESTION_SECONDS)
        raise NotStarted

    def _give_back(self, mb: int) -> None:
        with self._changed:
            self._used -= mb + PROCESS_MB
            self._changed.notify_all()
