"""A file that reserves disk space, to be removed when the disk is full."""

import contextlib
import os
from pathlib import Path

from app.domain.disk import free_bytes

#: The file is written only if this many times its size is free.
_PLENTY = 4


class Reserve:
    """A file of `size` bytes; 0 for none. Any process that uses the database may write and remove it."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def fill(self) -> None:
        """Write the file if it is missing or incomplete and the disk has enough free space. Errors are ignored."""
        with contextlib.suppress(OSError):
            if not self._size or free_bytes(self._path.parent) < _PLENTY * self._size:
                return
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_size >= self._size:
                    return
                self._path.unlink()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(self._size))  # compressing file systems store zeros without using space
                file.flush()
                os.fsync(file.fileno())

    def give_up(self) -> bool:
        """Remove the file. Return False if there is none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
