"""Port of the stored bytes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class ObjectInfo(NamedTuple):
    """An object without its bytes: `size` in bytes, `modified_at` in UTC."""

    key: str
    size: int
    modified_at: datetime


class ObjectStore(Protocol):
    """Bytes under keys. A key is `/`-separated segments of letters, digits, `.`, `_` and `-`."""

    def create(self, key: str, body: BinaryIO, *, size: int, content_type: str) -> None:
        """Store the rest of `body`, `size` bytes, under a new key: write once.

        The object appears whole or not at all, and is durable when the call returns. Of concurrent calls exactly one
        succeeds. The others raise `AlreadyExists` and change nothing; the existing object is durable then. A body of
        another length than `size`, or any failure, raises `Unavailable` and leaves nothing under the key; `Full` if
        the bytes would use the disk's reserve. The file of a `spool` can become the object: do not write it afterwards.
        """

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, lasting: bool = True) -> None:
        """Store like `create`, and replace an existing object. Readers see the old bytes or the new ones, also after
        `Unavailable`. May use the disk's reserve.

        An object that is not `lasting` may be gone or have lost its end after a power failure: readers check it.
        """

    def copy(self, source: str, target: str) -> None:
        """Store the bytes of one object under another key too, with its content type, as `put` does.

        Raises `Missing` if there is no object `source`. The copies are independent: neither changes with the other.
        """

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open the object as a stream. Raises `Missing` on entry if there is none. An object that may not be read can
        look missing."""

    def share(self, key: str, path: Path) -> bool:
        """Link the new file `path` to the object, without copying its bytes. Returns False if the store cannot.

        A change of that file changes the object, its mode and its times. Removing either leaves the other.
        Raises `Missing` if there is no object and the store could share one.
        """

    def stat(self, key: str) -> ObjectInfo | None:
        """Return size and time of the object, or None. An object that may not be read can look missing."""

    def find(self, key: str) -> ObjectInfo | None:
        """Like `stat`, but authoritative: None means that the object does not exist.

        Call it before deleting anything that depends on the object. Raises `Unavailable` if the store refuses. Needs
        the right to list the key.
        """

    def spool(self) -> BinaryIO:
        """Open an empty temporary file for bytes that `create` stores later, on the disk of the store if it has one.

        It can be written, read and rewound. It has no name, so its bytes are gone when it is closed or the process
        ends. Its errors are `PortError`s; `Full` means that the store's disk has no space left but the reserve.
        """

    def check_space(self, size: int) -> None:
        """Raise `Full` if `size` more bytes would use the reserve that deletes and records need. A store without its
        own disk always has space."""

    def delete(self, key: str) -> None:
        """Remove one object. A missing object is no error."""

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object whose key starts with `prefix`, which ends in `/`. Return their number."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield every object whose key starts with `prefix`, which ends in `/`, in any order. Objects written or
        removed meanwhile may be missing or included."""

    def ping(self) -> None:
        """Return if objects can be stored, else raise `Unavailable`, or `Full`."""
