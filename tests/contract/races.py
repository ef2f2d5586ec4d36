"""Concurrent calls from many threads, and waiting for results that may lag."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.domain.errors import PortError

T = TypeVar("T")

RACERS = 24


def race(action: Callable[[int], T], racers: int = RACERS) -> list[T | PortError]:
    """Run racers at once; return each one's result of `action(number)` or the port's error. Other errors are raised."""
    line = threading.Barrier(racers)

    def run(number: int) -> T | PortError:
        line.wait(60)
        try:
            return action(number)
        except PortError as error:
            return error

    with ThreadPoolExecutor(racers) as pool:
        return list(pool.map(run, range(racers)))


def winners(results: list[T | PortError]) -> list[int]:
    """Return the numbers of the racers without an error."""
    return [number for number, result in enumerate(results) if not isinstance(result, PortError)]


def eventually(look: Callable[[], T], expected: T, seconds: float = 60) -> None:
    """Wait until `look()` returns the expected value; fail with the last value."""
    end = time.monotonic() + seconds
    while (seen := look()) != expected and time.monotonic() < end:
        time.sleep(0.02)
    assert seen == expected
