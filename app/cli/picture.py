"""Files to send, as the command line sees them."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from app.domain.media import media_type_of
from app.domain.other_formats import NAMING_BYTES, recognize

_PIECE = 256 * 1024
_JOINER = "\N{ZERO WIDTH JOINER}"  # holds emoji together


class UploadError(Exception):
    """The upload did not come about; the sentence says why. `problem` is the service's own document, if it gave one."""

    def __init__(self, detail: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.problem = problem or {}


class NotAPicture(UploadError):
    """The file's bytes are not those of a picture."""


@dataclass(frozen=True)
class Picture:
    """A file to send, measured: `bytes`, SHA-256 in hex, and its media type from its own bytes."""

    path: Path
    bytes: int
    sha256: str
    content_type: str

    @classmethod
    def of(cls, path: Path) -> "Picture":
        """Read the file once. Raises `UploadError` for one that cannot be read, `NotAPicture` for one that is none."""
        digest = hashlib.sha256()
        size = 0
        head = b""
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):  # a pipe could be read once, and a device has no end
                raise UploadError("The folder cannot be read.") if stat.S_ISDIR(mode) else NotAPicture("Not a file.")
            with path.open("rb") as file:
                for piece in pieces(file):
                    head = head or piece[:NAMING_BYTES]
                    if not size and media_type_of(head) is None:
                        break
                    size += len(piece)
                    digest.update(piece)
        except OSError as error:
            raise unreadable(error) from error
        content_type = media_type_of(head)
        if content_type is None:
            if not head:
                raise NotAPicture("The file is empty.")
            other = recognize(head)
            raise NotAPicture(f"Unsupported image format (found: {other.name})." if other else "Not an image.")
        return cls(path, size, digest.hexdigest(), content_type)


def unreadable(error: OSError) -> UploadError:
    """What is to be said when a file cannot be read."""
    return UploadError(f"{error.strerror or error}.")


def files_in(path: Path) -> Iterator[Path]:
    """The file itself; of a folder the files in it and below, by name, without hidden ones, and the folders that cannot
    be read."""
    try:
        one = not path.is_dir()
    except OSError:  # reading it will tell
        one = True
    if one:
        yield path
        return
    errors: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))
    yield from (Path(os.fsdecode(error.filename)) for error in errors)


def text_of(path: Path | str) -> str:
    """The path as text that can be sent, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", "replace")


def shown(path: Path | str) -> str:
    """The path as text that takes one line and tells a terminal to do nothing."""
    escaped = (
        c if c.isprintable() or c == _JOINER else c.encode("unicode_escape").decode("ascii") for c in text_of(path)
    )
    return "".join(escaped)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """What is left of the file, bit by bit."""
    while piece := file.read(_PIECE):
        yield piece
