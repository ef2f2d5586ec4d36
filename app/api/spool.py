"""Where received bytes go: counted, hashed, in memory at first and on disk past a mebibyte."""

import hashlib
import tempfile
from contextlib import suppress
from typing import Any, BinaryIO, cast

from app.domain.errors import TooLarge, Unavailable
from app.domain.media import SNIFF_BYTES

IN_MEMORY = 1024 * 1024


def too_large(limit: int, **measured: Any) -> TooLarge:
    """The refusal of a picture over `limit` bytes; `measured` names how many there are, or are said to be."""
    return TooLarge("too_large", f"The picture is larger than {limit:,} bytes.", limit_bytes=limit, **measured)


class Spool:
    """The bytes of one picture on their way in, at most `limit` of them.

    `size` is in bytes and `head` holds the first `SNIFF_BYTES`. The file on disk has no name, so that nothing is
    left of it however the process ends.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # A descriptor of its own, closed by `close`: no `with` spans the life of a request body.
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        self._hash = hashlib.sha256()
        self.size = 0
        self.head = b""

    def write(self, piece: bytes) -> None:
        """Take a piece in. Raises `TooLarge` as soon as there are more bytes than the limit."""
        self.size += len(piece)
        if self.size > self._limit:
            raise too_large(self._limit, received_bytes=self.size)
        if len(self.head) < SNIFF_BYTES:
            self.head += piece[: SNIFF_BYTES - len(self.head)]
        self._hash.update(piece)
        try:
            self._file.write(piece)
        except OSError as error:
            raise _no_room() from error

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hex."""
        return self._hash.hexdigest()

    def rewound(self) -> BinaryIO:
        """The bytes, from the first on."""
        try:
            self._file.seek(0)  # writes what is still in the buffer
        except OSError as error:
            raise _no_room() from error
        return cast("BinaryIO", self._file)

    def close(self) -> None:
        """Forget the bytes."""
        with suppress(OSError):  # it tries once more to write them
            self._file.close()


def _no_room() -> Unavailable:
    return Unavailable("There is no room to receive the picture.")
