"""Write, link and rename files durably.

The fsync of a folder can fail after the file has its name. Files that were readable before must then stay readable, and
no caller may learn of a file that is removed again.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from app.domain.errors import AlreadyExists, Unavailable

#: Give the first file the name of the second, and make these folders durable.
Move = Callable[[Path, Path, Sequence[Path]], None]

_PIECE = 1024 * 1024


def write_new(body: BinaryIO, size: int, path: Path, *, lasting: bool = True) -> None:
    """Write the rest of `body` to a new file, durably if it is `lasting`. Raises `Unavailable` if it does not have
    `size` bytes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        written = 0
        while written <= size and (piece := body.read(_PIECE)):
            written += file.write(piece)
        if written != size:
            found = "more" if written > size else str(written)
            raise Unavailable(f"The body has {found} bytes, but {size} were announced.")
        file.flush()
        if lasting:
            os.fsync(file.fileno())


def link_new(source: Path, target: Path, folders: Sequence[Path]) -> None:
    """Link the file to a name that must be free.

    Of racing calls exactly one succeeds; the others raise `AlreadyExists`. `folders` are those to make durable, the
    target's own first. If that fails, the new name is removed and `OSError` raised. A racing call waits for the
    outcome, so it never reports an object that is about to be removed.
    """
    with _locked(target.parent):
        try:
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            sync_folders(folders)  # the writer may have been killed before it did
            raise AlreadyExists(target.name) from None
        try:
            sync_folders(folders)
        except OSError:
            target.unlink(missing_ok=True)
            raise


def is_taken(target: Path, folders: Sequence[Path]) -> bool:
    """Return True if the name exists, and survives a crash. Raises `OSError`."""
    if not os.path.lexists(target):
        return False
    with suppress(FileNotFoundError), _locked(target.parent):
        sync_folders(folders)
        return os.path.lexists(target)
    return False


def replace(source: Path, target: Path, folders: Sequence[Path]) -> None:
    """Rename the file over the target. If the folders cannot be made durable, `OSError` is raised and the new file
    stays: the old one is gone already, and after a power failure either may be there."""
    source.replace(target)
    sync_folders(folders)


def rename(source: Path, target: Path, folders: Sequence[Path]) -> None:  # noqa: ARG001 - called like `replace`
    """Rename the file over the target. After a power failure either may be there."""
    source.replace(target)


def sync_folders(folders: Sequence[Path]) -> None:
    """Make the names in these folders durable. A folder that has been removed needs no sync."""
    with suppress(FileNotFoundError):
        for folder in folders:
            descriptor = _open_folder(folder)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on the folder, against other threads and processes that take it here."""
    descriptor = _open_folder(folder)
    try:
        with suppress(OSError):  # network file systems may lock no folder
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
