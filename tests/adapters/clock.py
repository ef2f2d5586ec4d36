"""Clock that differs from that of the machine."""

import time
from typing import Any


class ClockAhead:
    """The module `time` with its wall clock ahead by this number of seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def time(self) -> float:
        return time.time() + self._seconds
