"""Temporary files in the data folder, which can become objects without being copied."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from app.domain.disk import PortFile, unnamed_file
from app.domain.limits import MEBIBYTE

_OWN_FILES = "/proc/self/fd"
_TMPFILE: Final = getattr(os, "O_TMPFILE", 0)


class SpoolFile(PortFile):
    """A temporary file without a name in `folder`.

    It checks the free space before each mebibyte, because many spool files grow at once.
    """

    def __init__(self, folder: Path, check_space: Callable[[int], None]) -> None:
        super().__init__(_open_unnamed(folder), "r+")
        self._check_space = check_space
        self._unchecked = 0
        self._has_name = False

    def write(self, data: Any, /) -> int:
        """Write all of the data. Raises `Full` if the reserve would be touched."""
        self._unchecked += len(data)
        if self._unchecked >= MEBIBYTE:
            self._check_space(len(data))
            self._unchecked = 0
        return super().write(data)

    def link(self, path: Path, size: int) -> bool:
        """Give the file a name if it has none and `size` bytes, all of them unread. Return False if that is not
        possible, such as on a file system without nameless files."""
        if self._has_name or self.tell() or os.fstat(self.fileno()).st_size != size:
            return False
        with suppress(OSError):
            folder = os.open(_OWN_FILES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # Only with a folder does `os.link` follow the symbolic link that stands for the open file.
                os.link(str(self.fileno()), path, src_dir_fd=folder)
                self._has_name = True
            finally:
                os.close(folder)
        return self._has_name


def _open_unnamed(folder: Path) -> int:
    """Open a file that can get a name. `tempfile` opens files that cannot."""
    if _TMPFILE:
        with suppress(OSError):
            return os.open(folder, os.O_RDWR | _TMPFILE | os.O_CLOEXEC, 0o600)
    return unnamed_file(folder)
