"""Image files for upload: hashing, format detection, display of names."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from darkroom import formats
from darkroom.errors import DarkroomError, FileError
from darkroom.sources import Pieces, read_checked

_PIECE = 256 * 1024
_JOINER = "\N{ZERO WIDTH JOINER}"  # joins emoji


#: The errors of the client: of a file, of the service, and of the way to it.
UploadError = DarkroomError


class NotAnImage(FileError):
    """The file is not an image."""


class FileChanged(FileError):
    """The file no longer has the bytes that were hashed."""

    def __init__(self) -> None:
        super().__init__("The file changed while it was sent. Run the command again.")


@dataclass(frozen=True)
class ImageFile:
    """An image file: its size in bytes, SHA-256 in hex, and media type detected from its bytes."""

    path: Path
    bytes: int
    sha256: str
    content_type: str

    @property
    def filename(self) -> str:
        """Name of the file, as text."""
        return to_text(self.path.name)

    def pieces(self) -> Pieces:
        """Yield the bytes, the last ones only if all are those that were hashed. Raises `UploadError`."""
        try:
            with self.path.open("rb") as file:
                yield from read_checked(file, self)
        except OSError as error:
            raise unreadable(error) from error

    @classmethod
    def read(cls, path: Path, max_bytes: int | None = None) -> "ImageFile":
        """Read the file once, but not the rest of an image above `max_bytes`.

        Raises `NotAnImage` if it is not an image, and `UploadError` if it cannot be read or is above the limit.
        """
        digest = hashlib.sha256()
        size = 0
        head = b""
        try:
            status = path.stat()
            mode = status.st_mode
            if not stat.S_ISREG(mode):  # a pipe can be read only once, and a device may be endless
                raise UploadError("The folder cannot be read.") if stat.S_ISDIR(mode) else NotAnImage("Not a file.")
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    head = head or piece[: formats.HEAD_BYTES]
                    if not size and formats.detect(head) is None:
                        break
                    if max_bytes is not None and status.st_size > max_bytes:
                        limit = f"the limit is {max_bytes:,} (DARKROOM_MAX_UPLOAD_BYTES)"
                        raise UploadError(f"The image has {status.st_size:,} bytes; {limit}.")
                    size += len(piece)
                    digest.update(piece)
        except OSError as error:
            raise unreadable(error) from error
        content_type = formats.detect(head)
        if content_type is None:
            if not head:
                raise NotAnImage("The file is empty.")
            other = formats.name_other(head)
            found = f"{other[0].upper()}{other[1:]} is not supported." if other else "Not an image."
            raise NotAnImage(f"{found} Accepted: {', '.join(formats.ACCEPTED.values())}.")
        return cls(path, size, digest.hexdigest(), content_type)


def unreadable(error: OSError) -> FileError:
    """Build the error for a file that cannot be read."""
    return FileError(f"{error.strerror or error}.")


def to_text(path: Path | str) -> str:
    """Decode a path to text; invalid bytes are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def printable(path: Path | str) -> str:
    """Escape a path so that it fits one line and contains no control characters."""
    escaped = (
        c if c.isprintable() or c == _JOINER else c.encode("unicode_escape").decode("ascii") for c in to_text(path)
    )
    return "".join(escaped)
