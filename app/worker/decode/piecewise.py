"""Read-only file assembled from pieces, for decoders that get only part of an original."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast

from PIL import Image, ImageFile

#: Searches per file for the next valid piece after a broken one. Each takes milliseconds.
MOST_SEARCHES: Final = 10
#: Bytes that are copied from a file at a time.
_READ = 64 * 1024


class PiecewiseFile(io.RawIOBase):
    """A file whose bytes `make` yields in order. Seeking back calls `make` again; nothing is cached."""

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        super().__init__()
        self._make = make
        self._pieces = make()
        self._piece = b""
        self._read = 0
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset, at most to the end; from the end is not supported."""
        if whence == io.SEEK_CUR:
            offset += self._at
        elif whence != io.SEEK_SET:
            raise io.UnsupportedOperation("the length of this file is not known")
        if offset < self._at:
            self._pieces, self._piece, self._read, self._at = self._make(), b"", 0, 0
        while self._at < offset and self.read(min(offset - self._at, _READ)):
            pass
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        if size is None or size < 0:
            size = 1 << 62
        found = self._piece[self._read : self._read + size]
        self._read += len(found)
        if len(found) < size:
            gathered = [found]
            missing = size - len(found)
            while missing > 0 and (piece := next(self._pieces, None)) is not None:
                self._piece, self._read = piece, min(missing, len(piece))
                gathered.append(piece[:missing])
                missing -= self._read
            found = b"".join(gathered)
        self._at += len(found)
        return found


def open_pieces(make: Callable[[], Iterator[bytes]], plugin: str) -> ImageFile.ImageFile:
    """Open a file of those pieces with one of Pillow's plugins."""
    return Image.open(cast("IO[bytes]", PiecewiseFile(make)), formats=[plugin])


def read_range(path: Path, start: int, end: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file from `start` to `end` or to its end."""
    with path.open("rb") as file:
        file.seek(start)
        left = (1 << 62) if end is None else end - start
        while left > 0 and (piece := file.read(min(left, _READ))):
            left -= len(piece)
            yield piece
