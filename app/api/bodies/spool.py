"""Temporary space for received bytes: counted, hashed, in memory up to 1 MiB, and then in a file next to the store."""

import hashlib
import io
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO

from fastapi.concurrency import run_in_threadpool

from app.api.http.problem_catalog import refusal
from app.domain.errors import RequestError
from app.domain.limits import MEBIBYTE
from app.domain.media import SNIFF_BYTES
from app.domain.ports import ObjectStore

#: Most bytes of one upload, and of all uploads, that are kept in memory. Larger ones are moved to a file.
IN_MEMORY = MEBIBYTE
#: First bytes of an upload of any size, which are kept in memory until more are written.
FIRST_IN_MEMORY = MEBIBYTE // 4
ALL_IN_MEMORY = 64 * MEBIBYTE
#: Most bytes of the text fields and JSON bodies of all uploads, which are in memory only.
ALL_FIELDS = 64 * MEBIBYTE
#: Bytes of all uploads that wait to be parsed and written, but one upload may always wait for `LEAST_WAITING`.
ALL_WAITING = 64 * MEBIBYTE
LEAST_WAITING = MEBIBYTE // 2


def too_large(limit: int, **measured: Any) -> RequestError:
    """Build the error of an image over `limit` bytes; `measured` are the bytes received or declared."""
    declared = measured.get("declared_bytes")
    detail = declared and f"The upload has {declared:,} bytes; the limit of an image is {limit:,}."
    return refusal("too_large", detail, limit_bytes=limit, **measured)


class Spools:
    """Temporary space of all uploads in progress: at most `max_bytes` bytes."""

    def __init__(self, store: ObjectStore, max_bytes: int) -> None:
        self.store = store
        self._max_bytes = max_bytes
        self._used = 0
        self._in_memory = 0
        self._fields = 0
        self._open = 0
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def open(self, limit: int, expected: int = 0, *, key: str | None = None) -> AsyncIterator["Spool"]:
        """Open space for one upload of at most `limit` bytes, of which `expected` are declared; release it at the end.

        Raises `Conflict` while another upload with the same `key` is open. Raises `Overloaded` or `Full`, before any
        byte is read, if there is no space for the declared bytes.
        """
        if key in self._keys:
            raise refusal("upload_in_progress", headers={"Retry-After": "5"})
        spool = Spool(self, limit, expected)
        self._open += 1
        try:
            if key is not None:
                self._keys.add(key)
            self._check(min(expected, limit))
            await run_in_threadpool(self.store.check_space, min(expected, limit))
            yield spool
        finally:
            spool.close()
            self._open -= 1
            if key is not None:
                self._keys.discard(key)

    @property
    def fair_share(self) -> int:
        """Bytes of one upload that may wait to be parsed and written."""
        return max(LEAST_WAITING, ALL_WAITING // max(1, self._open))

    def reserve(self, size: int) -> None:
        """Reserve space. Raises `Overloaded` if there is not enough."""
        with self._lock:
            self._check(size)
            self._used += size

    def reserve_memory(self, size: int) -> bool:
        """Reserve memory; return False if there is not enough."""
        with self._lock:
            if not self.has_memory(size):
                return False
            self._in_memory += size
            return True

    def has_memory(self, size: int) -> bool:
        """Return True if `size` more bytes may be kept in memory."""
        return self._in_memory + size <= ALL_IN_MEMORY

    def reserve_fields(self, size: int) -> None:
        """Reserve memory for text fields. Raises `Overloaded` if there is not enough."""
        with self._lock:
            self.check_fields(size)
            self._fields += size

    def check_fields(self, size: int) -> None:
        """Raise `Overloaded` if there is not enough memory for `size` more bytes of fields."""
        if self._fields + size > ALL_FIELDS:
            raise _overloaded(ALL_FIELDS)

    def release(self, size: int, in_memory: int, fields: int = 0) -> None:
        """Release reserved bytes."""
        with self._lock:
            self._used -= size
            self._in_memory -= in_memory
            self._fields -= fields

    def _check(self, size: int) -> None:
        if self._used + size > self._max_bytes:
            raise _overloaded(self._max_bytes)


class Spool:
    """Bytes of one upload. `size` is their number, and `head` holds the first `SNIFF_BYTES`."""

    def __init__(self, spools: Spools, limit: int, expected: int = 0) -> None:
        self._spools = spools
        self._limit = limit
        self._expected = expected
        self._file: BinaryIO = io.BytesIO()
        self._in_memory: int | None = 0  # None once the bytes are in a file
        self._reserved = 0
        self._fields = 0
        self._hash = hashlib.sha256()
        self.size = 0
        self.head = b""

    def write(self, piece: bytes | memoryview) -> None:
        """Add a piece. Raises `TooLarge` as soon as the limit is exceeded."""
        self.size += len(piece)
        if self.size > self._limit:
            raise too_large(self._limit, received_bytes=self.size)
        self._spools.reserve(len(piece))
        self._reserved += len(piece)
        if len(self.head) < SNIFF_BYTES:
            self.head += bytes(piece[: SNIFF_BYTES - len(self.head)])
        self._hash.update(piece)
        if self._in_memory is not None and not self._keep_in_memory(len(piece)):
            self._move_to_disk(self._in_memory)
        self._file.write(piece)

    @property
    def fair_share(self) -> int:
        """Bytes that may wait to be parsed and written."""
        return self._spools.fair_share

    def may_block(self, size: int) -> bool:
        """Return True if writing `size` bytes may wait for the disk."""
        return self._in_memory is None or self._is_large(size) or not self._spools.has_memory(size)

    def count_fields(self, size: int) -> None:
        """Account for the text fields of the upload; `size` is their total so far."""
        self._spools.reserve_fields(size - self._fields)
        self._fields = size

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes so far, in hexadecimal digits."""
        return self._hash.hexdigest()

    def rewind(self) -> BinaryIO:
        """Return the bytes as a file, at its start."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Discard the bytes. Idempotent."""
        with suppress(OSError):  # the bytes are discarded in any case
            self._file.close()
        self._spools.release(self._reserved, self._in_memory or 0, self._fields)
        self._reserved, self._in_memory, self._fields = 0, 0, 0

    def _keep_in_memory(self, size: int) -> bool:
        if self._is_large(0) or not self._spools.reserve_memory(size):
            return False
        self._in_memory = (self._in_memory or 0) + size
        return True

    def _is_large(self, more: int) -> bool:
        return self.size + more > (IN_MEMORY if self._expected <= IN_MEMORY else min(FIRST_IN_MEMORY, IN_MEMORY))

    def _move_to_disk(self, in_memory: int) -> None:
        buffer = self._file
        self._file = self._spools.store.spool()
        buffer.seek(0)
        self._file.write(buffer.read())
        self._in_memory = None
        self._spools.release(0, in_memory)


def _overloaded(limit: int) -> RequestError:
    return refusal("too_many_uploads", retry_after=5, limit_bytes=limit)
