"""Temporary space for received bytes: counted, hashed, in memory at first and next to the store past a mebibyte."""

import hashlib
import io
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO

from fastapi.concurrency import run_in_threadpool

from app.domain.errors import Conflict, Overloaded, TooLarge
from app.domain.limits import MEBIBYTE
from app.domain.media import SNIFF_BYTES
from app.domain.ports import ObjectStore

#: Bytes of one upload, and of all uploads together, that are kept in memory. What is more goes to the disk.
IN_MEMORY = MEBIBYTE
ALL_IN_MEMORY = 64 * MEBIBYTE
#: Bytes of all uploads' text fields, which are in memory only.
ALL_FIELDS = 64 * MEBIBYTE


def too_large(limit: int, **measured: Any) -> TooLarge:
    """The refusal of a picture over `limit` bytes; `measured` names how many there are, or are said to be."""
    return TooLarge("too_large", f"The picture is larger than {limit:,} bytes.", limit_bytes=limit, **measured)


class Spools:
    """The temporary space of all uploads in progress: at most `most` bytes."""

    def __init__(self, store: ObjectStore, most: int) -> None:
        self.store = store
        self._most = most
        self._used = 0
        self._in_memory = 0
        self._fields = 0
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def open(self, limit: int, expected: int = 0, *, key: str | None = None) -> AsyncIterator["Spool"]:
        """Open space for one upload of at most `limit` bytes, `expected` of them announced; it is released at the end.

        With `key`, only one upload of that key can be open at once: raises `Conflict` while there is another. Raises
        `Overloaded` or `Full` before any byte is read if there is no space for the bytes announced.
        """
        if key in self._keys:
            detail = "Another upload with this ticket is in progress. Wait until it has ended, then try again."
            raise Conflict("upload_in_progress", detail, headers={"Retry-After": "5"})
        spool = Spool(self, limit)
        try:
            if key is not None:
                self._keys.add(key)
            self._check(min(expected, limit))
            await run_in_threadpool(self.store.check_space, min(expected, limit))
            yield spool
        finally:
            spool.close()
            if key is not None:
                self._keys.discard(key)

    def take(self, size: int) -> None:
        """Count bytes. Raises `Overloaded` if there are too many."""
        with self._lock:
            self._check(size)
            self._used += size

    def take_memory(self, size: int) -> bool:
        """Count bytes kept in memory; False if there are too many."""
        with self._lock:
            if not self.has_memory(size):
                return False
            self._in_memory += size
            return True

    def has_memory(self, size: int) -> bool:
        """Return True if so many more bytes may be kept in memory."""
        return self._in_memory + size <= ALL_IN_MEMORY

    def take_fields(self, size: int) -> None:
        """Count bytes of text fields. Raises `Overloaded` if there are too many."""
        with self._lock:
            if self._fields + size > ALL_FIELDS:
                raise _overloaded(ALL_FIELDS)
            self._fields += size

    def release(self, size: int, in_memory: int, fields: int = 0) -> None:
        """Take bytes off the counts."""
        with self._lock:
            self._used -= size
            self._in_memory -= in_memory
            self._fields -= fields

    def _check(self, size: int) -> None:
        if self._used + size > self._most:
            raise _overloaded(self._most)


class Spool:
    """The bytes of one upload. `size` is in bytes and `head` holds the first `SNIFF_BYTES`."""

    def __init__(self, spools: Spools, limit: int) -> None:
        self._spools = spools
        self._limit = limit
        self._file: BinaryIO = io.BytesIO()
        self._in_memory: int | None = 0  # None once the bytes are in a file
        self._taken = 0
        self._fields = 0
        self._hash = hashlib.sha256()
        self.size = 0
        self.head = b""

    def write(self, piece: bytes) -> None:
        """Add a piece. Raises `TooLarge` as soon as there are more bytes than the limit."""
        self.size += len(piece)
        if self.size > self._limit:
            raise too_large(self._limit, received_bytes=self.size)
        self._spools.take(len(piece))
        self._taken += len(piece)
        if len(self.head) < SNIFF_BYTES:
            self.head += piece[: SNIFF_BYTES - len(self.head)]
        self._hash.update(piece)
        if self._in_memory is not None and not self._keep_in_memory(len(piece)):
            self._move_to_disk(self._in_memory)
        self._file.write(piece)

    def may_block(self, size: int) -> bool:
        """Return True if writing so many bytes may wait for the disk."""
        return self._in_memory is None or self.size + size > IN_MEMORY or not self._spools.has_memory(size)

    def count_fields(self, size: int) -> None:
        """Count the bytes of text fields that came with the image, all of them so far."""
        self._spools.take_fields(size - self._fields)
        self._fields = size

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hex."""
        return self._hash.hexdigest()

    def rewound(self) -> BinaryIO:
        """The bytes, from the first on."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Drop the bytes. Repeatable."""
        with suppress(OSError):  # there is nobody to tell, and nothing to save
            self._file.close()
        self._spools.release(self._taken, self._in_memory or 0, self._fields)
        self._taken, self._in_memory, self._fields = 0, 0, 0

    def _keep_in_memory(self, size: int) -> bool:
        if self.size > IN_MEMORY or not self._spools.take_memory(size):
            return False
        self._in_memory = (self._in_memory or 0) + size
        return True

    def _move_to_disk(self, in_memory: int) -> None:
        buffer = self._file
        self._file = self._spools.store.spool()
        buffer.seek(0)
        self._file.write(buffer.read())
        self._in_memory = None
        self._spools.release(0, in_memory)


def _overloaded(limit: int) -> Overloaded:
    detail = "Too many bytes of uploads are being received at once. Try again in a moment."
    return Overloaded("too_many_uploads", detail, retry_after=5, limit_bytes=limit)
