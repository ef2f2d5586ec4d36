"""Free disk space and file errors, for adapters that store files."""

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.domain.errors import Full, Unavailable

#: Disk or quota full.
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Free inodes below which a disk counts as full.
MIN_FREE_ENTRIES = 1000
_FEW_BYTES = 64 * 1024


@contextmanager
def port_errors(no_space: type[Unavailable] = Full) -> Iterator[None]:
    """Raise `no_space` or `Unavailable` for an `OSError`. No path is in the message or in the chained traceback."""
    try:
        yield
    except OSError as error:
        raise port_error(error, no_space) from nameless(error)


def port_error(error: OSError, no_space: type[Unavailable] = Full) -> Unavailable:
    """Return the port's error for an `OSError`. Its message holds the system's text of the errno only."""
    kind = no_space if error.errno in NO_SPACE else Unavailable
    return kind(f"The data folder failed: {error.strerror or 'input/output error'}.")


def nameless(error: OSError) -> OSError:
    """Return the error with its traceback and without file names."""
    return OSError(error.errno, error.strerror or "").with_traceback(error.__traceback__)


def free_bytes(folder: Path) -> int:
    """Return the free bytes on the folder's disk that unprivileged users can use. Raises `OSError`."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def has_no_space(folder: Path) -> bool:
    """Return True if the folder's disk is full."""
    with suppress(OSError):
        return free_bytes(folder) < _FEW_BYTES
    return False


def check_free(folder: Path, size: int, reserve: int) -> None:
    """Raise `Full` if `size` more bytes would leave less than `reserve` bytes free; a `reserve` of 0 is off.

    Raises `OSError` if the file system is read-only.
    """
    status = os.statvfs(folder)
    if status.f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if not reserve:
        return
    free = status.f_bavail * status.f_frsize
    if free - size < reserve:
        raise Full("The disk is full, except for the reserve.", free_bytes=free, min_free_bytes=reserve)
    if status.f_files and status.f_favail < MIN_FREE_ENTRIES:  # some file systems report no inodes
        raise Full("The disk has no free inodes, except for the reserve.")


class PortFile(io.FileIO):
    """Unbuffered file that raises the port's errors. A write is complete or fails.

    `no_space` is the error of a full disk.
    """

    no_space: type[Unavailable] = Full

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.FileIO`."""
        with port_errors(self.no_space):
            return super().read(-1 if size is None else size)

    def readall(self) -> bytes:
        """See `io.FileIO`."""
        with port_errors(self.no_space):
            return super().readall()

    def readinto(self, buffer: Any, /) -> int:
        """See `io.FileIO`."""
        with port_errors(self.no_space):
            return super().readinto(buffer)

    def write(self, data: Any, /) -> int:
        """Write all of the data."""
        rest = memoryview(data)
        with port_errors(self.no_space):
            while rest:
                rest = rest[super().write(rest) :]
        return len(data)


def unnamed_file(folder: Path | None) -> int:
    """Return the descriptor of a new file without a name, in the folder or the system's temporary folder.

    The bytes are gone when it is closed or the process ends. Raises `OSError`.
    """
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return os.dup(file.fileno())
