"""Temporary files in the data folder."""

from collections.abc import Callable
from typing import Any

from app.domain.disk import PortFile
from app.domain.limits import MEBIBYTE


class SpoolFile(PortFile):
    """A temporary file that checks the free space before each mebibyte, because many spool files grow at once."""

    def __init__(self, descriptor: int, check_space: Callable[[int], None]) -> None:
        super().__init__(descriptor, "r+")
        self._check_space = check_space
        self._unchecked = 0

    def write(self, data: Any, /) -> int:
        """Write all of the data. Raises `Full` if the reserve would be touched."""
        self._unchecked += len(data)
        if self._unchecked >= MEBIBYTE:
            self._check_space(len(data))
            self._unchecked = 0
        return super().write(data)
