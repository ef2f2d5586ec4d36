"""Downloads of originals and variants."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO
from urllib.parse import quote

from darkroom.base import BaseClient
from darkroom.errors import FileError
from darkroom.images import image_path
from darkroom.uploading import Progress


class DownloadCalls(BaseClient):
    """Downloads of stored files."""

    def download(
        self,
        image_id: str,
        to: str | os.PathLike[str] | BinaryIO,
        *,
        variant: str | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Write the original of an image, or a variant such as `w640.webp`, to a path or an open file.

        A file at this path is replaced once all bytes have arrived. Returns their number.

        >>> client.download(image.id, "copy.jpg") == image.bytes
        True
        >>> client.download(image.id, "small.webp", variant="w320.webp") > 0
        True
        """
        path = image_path(image_id, "/original" if variant is None else f"/variants/{quote(variant, safe='')}")
        with _open(to) as file:
            start = file.tell() if file.seekable() else None
            return self._connection.repeat(
                lambda: self._copy(path, file, start, progress), repeatable=start is not None
            )

    def _copy(self, path: str, file: BinaryIO, start: int | None, progress: Progress | None) -> int:
        if start is not None and file.tell() != start:  # an earlier attempt was interrupted
            file.seek(start)
            file.truncate()
        with self._connection.stream(path) as answer:
            size = int(answer.headers.get("content-length", 0))
            received = 0
            for piece in answer.iter_raw():
                try:
                    file.write(piece)
                except OSError as error:
                    raise FileError(f"The file cannot be written: {error.strerror or error}.") from error
                received += len(piece)
                if progress is not None:
                    progress(received, max(size, received))
        return received


@contextmanager
def _open(to: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Open a temporary file next to the path, which becomes the file at the end; or use the open file."""
    if not isinstance(to, str | os.PathLike):
        yield to
        return
    path = Path(to)
    part = path.with_name(f".{path.name[:100]}.{token_hex(8)}.part")
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder. Give the path of a file.")
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error
    finally:
        with suppress(OSError, ValueError):
            part.unlink()
