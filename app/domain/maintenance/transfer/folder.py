"""Folder of an export: its lock, and files that are written whole and read without following links."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from pydantic import ValidationError

from app.domain.disk import NO_SPACE
from app.domain.errors import DarkroomError
from app.domain.maintenance.transfer.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    MAX_MANIFEST,
    FilePath,
    Manifest,
    ObjectFile,
    RecordsFile,
)

PIECE = 1024 * 1024
_TEMPORARY = "tmp"
_RECORDS = re.compile(r"records-[0-9a-f]{16}\.jsonl")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Reading a pipe that somebody put there must not block.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FolderError(DarkroomError):
    """The folder cannot be used. `cause` says why, and `remedy` what to do."""

    def __init__(self, detail: str, cause: str, remedy: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.remedy = remedy


class Folder:
    """Open folder of an export. Paths are given by their parts."""

    def __init__(self, root: Path, descriptor: int) -> None:
        self.root = root
        self._descriptor = descriptor

    def read_manifest(self) -> Manifest | None:
        """Return the manifest, or None if there is none. Raises `FolderError` for another one, or a newer version."""
        try:
            with self.open((MANIFEST,)) as file:
                text = file.read(MAX_MANIFEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.error("cannot read", error) from error
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError:
            raise FolderError(
                f"{self.root} is not an export of Darkroom",
                f"its {MANIFEST} is not that of an export",
                "name the folder that `darkroom export` has written",
            ) from None
        if manifest.format_version != FORMAT_VERSION:
            raise FolderError(
                f"{self.root} has another format",
                f"format version {manifest.format_version} (known: {FORMAT_VERSION}), written by Darkroom "
                f"{manifest.darkroom}",
                "use a newer version of Darkroom",
            )
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest, after every file written before is durable."""
        os.sync()
        self.write((MANIFEST,), [manifest.model_dump_json(indent=2).encode() + b"\n"])
        os.fsync(self._descriptor)

    def size(self, path: FilePath) -> int | None:
        """Return the size of a regular file, or None."""
        try:
            with self.open(path) as file:
                return os.fstat(file.fileno()).st_size
        except OSError:
            return None

    @contextmanager
    def open(self, path: FilePath) -> Iterator[BinaryIO]:
        """Open a regular file that no symbolic link leads to. Raises `OSError`."""
        *folders, name = path
        with contextlib.ExitStack() as stack:
            parent = self._descriptor
            for part in folders:
                parent = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
                stack.callback(os.close, parent)
            file = stack.enter_context(os.fdopen(os.open(name, _FILE, dir_fd=parent), "rb"))
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "Not a regular file")
            yield file

    def hash(self, path: FilePath) -> ObjectFile:
        """Return size and hash of a file. Raises `OSError`."""
        digest, size = hashlib.sha256(), 0
        with self.open(path) as file:
            for piece in read_pieces(file):
                digest.update(piece)
                size += len(piece)
        return ObjectFile(bytes=size, sha256=digest.hexdigest())

    def write(self, path: FilePath, pieces: Iterable[bytes]) -> ObjectFile:
        """Write a file whole, and replace one that is there. Raises `FolderError`."""
        target = self.root.joinpath(*path)
        try:
            with self._staged() as (temporary, file):
                digest, size = hashlib.sha256(), 0
                for piece in pieces:
                    digest.update(piece)
                    size += len(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                temporary.replace(target)
        except OSError as error:
            raise self.error("cannot write to", error) from error
        return ObjectFile(bytes=size, sha256=digest.hexdigest())

    def write_records(self, lines: Iterable[bytes]) -> RecordsFile:
        """Write the file of records under a name of its own. Raises `FolderError`."""
        count = 0

        def counted() -> Iterator[bytes]:
            nonlocal count
            for line in lines:
                count += 1
                yield line

        name = f"records-{uuid4().hex[:16]}.jsonl"
        written = self.write((name,), counted())
        return RecordsFile(name=name, images=count, bytes=written.bytes, sha256=written.sha256)

    def remove_old_records(self, kept: str) -> None:
        """Remove files of records that the manifest does not name, and temporary files."""
        with contextlib.suppress(OSError):
            for path in self.root.iterdir():
                if _RECORDS.fullmatch(path.name) and path.name != kept:
                    path.unlink()
            (self.root / _TEMPORARY).rmdir()

    def clear(self) -> None:
        """Remove what an interrupted export has left."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.root / _TEMPORARY)

    @contextmanager
    def _staged(self) -> Iterator[tuple[Path, BinaryIO]]:
        folder = self.root / _TEMPORARY
        folder.mkdir(mode=0o700, exist_ok=True)
        temporary = folder / uuid4().hex
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield temporary, file
        finally:
            temporary.unlink(missing_ok=True)

    def error(self, action: str, error: OSError) -> FolderError:
        """Build the error of a system call on the folder."""
        remedy = "check the folder and its permissions"
        if error.errno in NO_SPACE:
            remedy = "free space on its disk, then run the command again; it continues"
        return FolderError(f"{action} {self.root}", _reason(error), remedy)


def read_pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a file in pieces."""
    while piece := file.read(PIECE):
        yield piece


@contextmanager
def open_target(path: Path) -> Iterator[Folder]:
    """Open the folder for an export and lock it; create it if it does not exist. Raises `FolderError`.

    A folder with other files is refused.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise FolderError(f"cannot export to {path}", "a file is in the way", "name another folder") from error
    except OSError as error:
        raise FolderError(
            f"cannot export to {path}", _reason(error), "name a folder that this user may write to"
        ) from error
    with _opened(path, fcntl.LOCK_EX) as folder:
        try:
            if folder.read_manifest() is None and any(path.iterdir()):
                raise FolderError(f"cannot export to {path}", "it holds other files", "name an empty folder")
            if not os.access(path, os.W_OK | os.X_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise folder.error("cannot write to", error) from error
        yield folder


@contextmanager
def open_source(path: Path) -> Iterator[Folder]:
    """Open a folder to import, and keep exports from writing to it. Raises `FolderError`."""
    with _opened(path, fcntl.LOCK_SH) as folder:
        yield folder


@contextmanager
def _opened(path: Path, lock: int) -> Iterator[Folder]:
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError as error:
        raise FolderError(f"cannot open {path}", _reason(error), "check the name and the permissions") from error
    try:
        try:
            fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(f"{path} is in use", "another export or import runs", "wait for its end") from None
        except OSError:  # some network file systems have no locks
            pass
        yield Folder(Path(os.path.realpath(path)), descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
