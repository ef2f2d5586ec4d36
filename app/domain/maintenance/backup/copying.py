"""Copy and link single files of a backup, durably."""

import errno
import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.domain.maintenance.backup.record_files import NamedFile
from app.domain.maintenance.transfer.folder import read_pieces

#: Reading a pipe that somebody put there must not block.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True)
class Copied:
    """Size and SHA-256 of a file that was copied or read."""

    bytes: int
    sha256: str

    def is_as_named(self, named: NamedFile) -> bool:
        """Return True if the file is the one that the record describes."""
        return named.bytes in (None, self.bytes) and named.sha256 in (None, self.sha256)


def read_stat(path: Path) -> os.stat_result | None:
    """Return the stat of a regular file, or None if there is none."""
    with suppress(*_ABSENT):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode):
            return found
    return None


def copy_file(source: Path, target: Path) -> Copied | None:
    """Copy a file and its time of modification to a new one, durably. Return None if the source does not exist.

    The time is set last: a file with the time of its source is complete. Raises `OSError`.
    """
    try:
        reading = os.open(source, _READ)
    except _ABSENT:
        return None
    with os.fdopen(reading, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        make_folders(target.parent)
        with os.fdopen(os.open(target, _WRITE, 0o600), "wb") as out:
            digest, size = hashlib.sha256(), 0
            for piece in read_pieces(file):
                digest.update(piece)
                size += out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    return Copied(size, digest.hexdigest())


def make_folders(folder: Path) -> None:
    """Create a folder and those above it that are missing, for this user only. Raises `OSError`."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:  # `parents=True` would make the others readable for everybody
        make_folders(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def hash_file(path: Path) -> Copied | None:
    """Return size and hash of a regular file, or None if there is none. Raises `OSError`."""
    try:
        reading = os.open(path, _READ)
    except _ABSENT:
        return None
    with os.fdopen(reading, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        digest, size = hashlib.sha256(), 0
        for piece in read_pieces(file):
            digest.update(piece)
            size += len(piece)
    return Copied(size, digest.hexdigest())


def sync_tree(folder: Path) -> None:
    """Make the names in a folder and in all folders below it durable. Raises `OSError`."""
    for parent, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(parent))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
