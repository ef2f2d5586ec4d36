"""Durations of the phases of a task."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class PhaseTimer:
    """Adds the milliseconds spent by phase to `timings`, which may be given."""

    def __init__(self, timings: dict[str, float] | None = None) -> None:
        self.timings = {} if timings is None else timings

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block to `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - started) * 1000
            self.timings[name] = round(self.timings.get(name, 0) + spent, 2)
