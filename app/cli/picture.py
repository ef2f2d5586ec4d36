"""A file to send, as the command line sees it."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from app.domain.media import SNIFF_BYTES, media_type_of

_PIECE = 256 * 1024


class UploadError(Exception):
    """The upload did not come about; the sentence says why. `problem` is the service's own document, if it gave one."""

    def __init__(self, detail: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.problem = problem or {}


@dataclass(frozen=True)
class Picture:
    """A file to send, measured: `bytes`, SHA-256 in hex, and its media type from its own bytes."""

    path: Path
    bytes: int
    sha256: str
    content_type: str

    @classmethod
    def of(cls, path: Path) -> "Picture":
        """Read the file once. Raises `UploadError` for one that cannot be read or is no picture."""
        digest = hashlib.sha256()
        size = 0
        head = b""
        try:
            with path.open("rb") as file:
                for piece in pieces(file):
                    head = head or piece[:SNIFF_BYTES]
                    size += len(piece)
                    digest.update(piece)
        except OSError as error:
            raise UploadError(f"{shown(path)}: {error.strerror}") from error
        content_type = media_type_of(head)
        if content_type is None:
            raise UploadError(f"{shown(path)}: not a picture of any known format")
        return cls(path, size, digest.hexdigest(), content_type)


def shown(path: Path | str) -> str:
    """The path as text that can be sent and printed, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", "replace")


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """What is left of the file, bit by bit."""
    while piece := file.read(_PIECE):
        yield piece
