"""The three ports, with the promises every adapter keeps.

They speak keys, bytes, streams and domain objects; never HTTP, never an SDK. Each promise below is held to every
adapter by `tests/contract`. What an adapter raises is a `PortError`; `Unavailable` may come from any method.
All methods are blocking, and safe to call from several threads and several processes at once.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from app.domain.models import Image, Status, Tombstone


@dataclass(frozen=True)
class ObjectInfo:
    """An object without its bytes: `size` in bytes, `modified_at` in UTC."""

    key: str
    size: int
    modified_at: datetime


class ObjectStore(Protocol):
    """Bytes under keys. A key is `/`-separated segments of letters, digits, `.`, `_` and `-`."""

    def create(self, key: str, body: BinaryIO, *, size: int, content_type: str) -> None:
        """Store the rest of `body`, `size` bytes, under a key that must be free: write once.

        The object appears whole or not at all, and is durable when the call returns. Of racing calls exactly one
        wins; the others raise `AlreadyExists` and change nothing, and the object that they find is durable too. A body
        of another length than `size`, or any refusal, raises `Unavailable` and leaves nothing under the key; `Full` if
        the bytes would touch the reserve of a disk.
        """

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str) -> None:
        """Store as `create` does, and take the place of what is there: readers see the old bytes or the new, also when
        `Unavailable` is raised. May use the reserve of a disk."""

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The object's bytes as a stream, read in pieces. Raises `Missing` on entry if there is none. What may not be
        read may look absent."""

    def stat(self, key: str) -> ObjectInfo | None:
        """The object's size and time, or None. What may not be read may look absent."""

    def find(self, key: str) -> ObjectInfo | None:
        """As `stat`, for who does away with what belongs to an absent object: None is sure, and a refusal raises
        `Unavailable`. Takes the right to list the key."""

    def spool(self) -> BinaryIO:
        """Open an empty temporary file for bytes on their way to `create`, next to the store where that has a disk.

        It can be written, read and rewound. It has no name: its bytes are gone when it is closed, and when the process
        ends. Its errors are `PortError`s; `Full` means that the store's disk has no space left but the reserve.
        """

    def check_space(self, size: int) -> None:
        """Raise `Full` if `size` more bytes would touch the reserve that deletes and records need. A store without a
        disk of its own has space."""

    def delete(self, key: str) -> None:
        """Remove one object. Nothing there is fine."""

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object whose key starts with `prefix`, which ends in `/`; how many there were."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, which ends in `/`, in any order. Objects written or removed
        meanwhile may or may not be seen."""

    def ping(self) -> None:
        """Return if objects can be stored, else raise `Unavailable`, or `Full`."""


@dataclass(frozen=True)
class ListQuery:
    """Which images of an owner to list, by id. `since` is inclusive, `until` exclusive, `after` the last id seen."""

    owner: str
    limit: int
    descending: bool = True
    after: str | None = None
    since: str | None = None
    until: str | None = None
    status: Status | None = None
    tag: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class Page:
    """`items` in the query's order; `next_after` is set when there may be more, and is then the last id of `items`."""

    items: Sequence[Image]
    next_after: str | None


class ImageRepository(Protocol):
    """Records by id, with the index that serves every list.

    Reads by id are strongly consistent. A list may lag behind writes, but never shows a deleted image or one that
    does not match the filter.
    """

    def create(self, image: Image, *, claim: bool, replaces: str | None = None) -> None:
        """Write a new record with its index entries, all or nothing. Raises `AlreadyExists` if the id is taken.

        A record with `upload_expires_at`, that of an upload ticket, is in no list; an `update` to None makes it a
        normal one. It stays when that time has passed: only a caller that has looked for its bytes may remove it.

        With `claim` the owner's pointer for `image.sha256` is written with it: it must be free, or name `replaces`.
        If it names another record, `HashTaken` says which and nothing is written. Of racing claims exactly one wins.
        """

    def claim(self, image: Image) -> bool:
        """Point the owner's hash `image.sha256` at this record if the pointer is free or already its own. Return True
        if it is now.

        Otherwise the record is noted as a further copy: when the record that the pointer names goes, the pointer passes
        to the oldest copy. A pointer notes the first twenty copies at least.
        """

    def get(self, image_id: str) -> Image | Tombstone | None:
        """Return the record, its tombstone, or None. A settled tombstone that has expired is absent."""

    def versions(self, image_ids: Collection[str]) -> Mapping[str, int]:
        """Return the version of each of these records that exists; tombstones are left out. Strongly consistent, and
        far cheaper than as many calls of `get`."""

    def find_hash(self, owner: str, sha256: str) -> str | None:
        """The id that the owner's pointer for these bytes names, whatever its state. Strongly consistent."""

    def update(self, image_id: str, expected_version: int, changes: Mapping[str, Any]) -> Image:
        """Write the fields named in `changes` (names of `Image`, model values) and no others; index entries follow.

        Raises `Stale` if the record is not at `expected_version`, is deleted or was never there; nothing is written
        then. The result has `version` one higher and `updated_at` now; `{}` only does that.
        """

    def bury(self, image_id: str, expected_version: int, tombstone: Tombstone) -> None:
        """Put the tombstone in the record's place: index entries go, and its hash pointer goes or passes to a copy.

        Raises `Stale` as `update` does.
        """

    def settle(self, image_id: str) -> None:
        """Mark a tombstone's delete as finished: it is no longer unsettled, and expires. Nothing there is fine."""

    def remove(self, image_id: str, expected_version: int) -> None:
        """Remove a record without a trace. Index entries and its hash pointer follow as in `bury`. Raises `Stale`."""

    def remove_all(self, images: Sequence[Image]) -> set[str]:
        """Remove many records as `remove` does, each at the version it was read with. Return the ids removed; a record
        that has changed since stays. Not all or nothing: after `Unavailable` some may be gone. A batch of a hundred
        takes far less time than a hundred calls of `remove`."""

    def open_tickets(self, owner: str, limit: int) -> Sequence[str]:
        """Return the ids of the owner's upload tickets whose bytes have not been seen (`is_open_ticket`), oldest first,
        at most `limit`. May lag behind writes."""

    def list(self, query: ListQuery) -> Page:
        """One page, newest first when `descending`: full as long as there are matches, then a shorter one or a full
        one with no `next_after`. Walking the pages shows every image that was there throughout exactly once, and
        costs the same per page however deep."""

    def unsettled(self, start: str = "") -> Iterator[str]:
        """Ids of what is not at rest: records that are `pending` or have `stale_renderings`, and tombstones not
        settled. May lag behind writes, and may name ids that have come to rest meanwhile.

        Ids from `start` on come before those below it, so that who has no time for all of them can begin elsewhere
        each time."""

    def ping(self) -> None:
        """Return if the repository can be reached, else raise `Unavailable`."""


@dataclass(frozen=True)
class Message:
    """A delivery: `receipt` names it, `receive_count` is 1 the first time."""

    id: str
    receipt: str
    body: str
    receive_count: int


class EventQueue(Protocol):
    """At-least-once delivery of small texts, in no promised order.

    A queue is made with a visibility time-out and a number of receives. A received message is invisible to others
    until the time-out ends; if it has not been deleted by then it is delivered again, with a receive count one
    higher. After the last receive it goes to the dead letters instead.
    """

    def send(self, body: str, *, delay: int = 0) -> None:
        """Add a message of at most 256 KiB, durable when the call returns, delivered after `delay` seconds (0-900)."""

    def receive(self, limit: int = 1, *, wait: float = 0) -> Sequence[Message]:
        """At most `limit` (1-10) messages that are due, waiting up to `wait` seconds (0-20) for the first."""

    def delete(self, receipt: str) -> None:
        """The message is done. A receipt of an earlier delivery, or of a message that is gone, is fine."""

    def release(self, receipt: str, *, delay: int = 0) -> None:
        """Make a received message due again after `delay` seconds. A receipt that is no longer good is fine."""

    def waiting(self) -> int:
        """How many messages are due and with no receiver, about."""

    def dead_letters(self) -> int:
        """How many messages lie with the dead letters, about."""

    def redrive(self, subject: Callable[[str], str] = str) -> int:
        """Send the dead letters again, with a fresh count. Of those whose bodies have the same `subject` one is sent
        and the others are dropped. Return how many were sent."""

    def ping(self) -> None:
        """Return if the queue can be reached, else raise `Unavailable`."""
