"""Bytes to upload: hashed once, and read again for each attempt."""

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from darkroom import formats
from darkroom.errors import FileError

#: A path, the bytes themselves, or a file that is open in binary mode.
Source = str | os.PathLike[str] | bytes | BinaryIO

Pieces = Iterator[bytes]

_PIECE = 256 * 1024
#: Largest content of a pipe that is kept in memory.
_MEMORY = 8 * 1024 * 1024
_UNSPECIFIC = "application/octet-stream"


class Content(Protocol):
    """Bytes to upload, of known size and hash. `pieces` yields them, as often as it is called."""

    @property
    def filename(self) -> str | None:
        """Name of the file, if there is one."""

    @property
    def content_type(self) -> str:
        """Media type, detected from the bytes."""

    @property
    def sha256(self) -> str:
        """Hash of the bytes, in hexadecimal."""

    @property
    def bytes(self) -> int:
        """Number of bytes."""

    def pieces(self) -> Pieces:
        """Yield the bytes. Raises `FileError`."""


class Payload:
    """An open file with the size and the hash of its bytes, from its position to its end.

    `content_type` is detected from the bytes. `filename` is None for bytes without a name.
    """

    def __init__(self, file: BinaryIO, filename: str | None) -> None:
        self._file, self._start = file, file.tell()
        self.filename = filename
        digest, self.bytes, head = hashlib.sha256(), 0, b""
        while piece := file.read(_PIECE):
            if not isinstance(piece, bytes):
                raise FileError(f"{self.name} is open as text. Open it in binary mode.")
            head = head or piece[: formats.HEAD_BYTES]
            self.bytes += len(piece)
            digest.update(piece)
        self.sha256 = digest.hexdigest()
        self.content_type = formats.detect(head) or _UNSPECIFIC
        if not self.bytes:
            raise FileError(f"{self.name} is empty.")

    @property
    def name(self) -> str:
        """Name for messages."""
        return self.filename or "The image"

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes. The last piece comes only if all are those that were hashed.

        So an upload of a file that changes meanwhile is incomplete, and the service stores nothing. Raises `FileError`.
        """
        try:
            self._file.seek(self._start)
            yield from read_checked(self._file, self)
        except OSError as error:
            raise _unusable(self.name, error) from error


def read_checked(file: BinaryIO, content: Content) -> Iterator[bytes]:
    """Yield the rest of a file, the last piece only if all are those of the content. Raises `FileError`."""
    digest, left, held = hashlib.sha256(), content.bytes, b""
    while left and (piece := file.read(min(_PIECE, left))):
        left -= len(piece)
        digest.update(piece)
        if held:
            yield held
        held = piece
    if file.read(1) or digest.hexdigest() != content.sha256:
        raise FileError(f"{content.filename or 'The image'} changed while it was sent. Upload it again.")
    yield held


@contextmanager
def open_payload(source: Source, filename: str | None = None) -> Iterator[Payload]:
    """Open and hash a source. `filename` replaces the name of the file. Raises `FileError`."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield Payload(BytesIO(source), filename)
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        with _open(path) as file:
            yield _hash(file, filename or _to_text(path.name))
    elif hasattr(source, "read"):
        given = getattr(source, "name", None)
        name = filename or (_to_text(Path(given).name) if isinstance(given, str) else None)
        with _rewindable(source, name or "The image") as file:
            yield _hash(file, name)
    else:
        raise FileError(f"Expected a path, bytes or a binary file (found: {type(source).__name__}).")


def _hash(file: BinaryIO, name: str | None) -> Payload:
    try:
        return Payload(file, name)
    except OSError as error:
        raise _unusable(name or "The image", error) from error


def _open(path: Path) -> BinaryIO:
    name = _to_text(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):  # opening a pipe may wait forever, and a device may be endless
            raise FileError(f"{name} is not a regular file. Open it, and pass the open file.")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise _unusable(name, error) from error


@contextmanager
def _rewindable(file: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """Return a file that can be read again: the given one, or a copy of a pipe."""
    seekable = getattr(file, "seekable", None)
    if seekable is not None and seekable():
        yield file
        return
    with tempfile.SpooledTemporaryFile(_MEMORY) as copy:
        try:
            while piece := file.read(_PIECE):
                copy.write(piece)
        except OSError as error:
            raise _unusable(name, error) from error
        except TypeError:
            raise FileError(f"{name} is open as text. Open it in binary mode.") from None
        copy.seek(0)
        yield copy  # type: ignore[misc]  # it has the methods of a file


def _unusable(name: str, error: Exception) -> FileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return FileError(f"{name} cannot be read: {reason}.")


def _to_text(name: str | os.PathLike[str]) -> str:
    """Return a name as text. Bytes that are not UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
