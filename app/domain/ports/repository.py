"""Port of the records."""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from app.domain.models import Image, Status, Tombstone, Visibility
from app.domain.quota.usage import NO_QUOTA, Quota
from app.domain.work import Task, Work

T = TypeVar("T")


class ListQuery(NamedTuple):
    """Filter and position of a list. `since` (inclusive), `until` (exclusive) and `after` (the last id seen) are ids.

    An image matches if it has all of `tags`. With `trashed` the list is that of the trash; else no trashed image is in
    it.
    """

    owner: str
    limit: int
    descending: bool = True
    after: str | None = None
    since: str | None = None
    until: str | None = None
    status: Status | None = None
    tags: tuple[str, ...] = ()
    content_type: str | None = None
    visibility: Visibility | None = None
    trashed: bool = False


class StoredImage(Protocol):
    """A record that is not validated yet."""

    @property
    def key(self) -> Hashable:
        """Key of the record's content: records with the same key are equal in every field."""

    def fields(self) -> Mapping[str, Any]:
        """Return the fields of `Image` as JSON values, as they were written. Those with their default may be missing,
        and there may be others."""

    def read(self) -> Image:
        """Return the validated record."""


class Page(NamedTuple, Generic[T]):
    """`items` in the query's order. `next_after` is None if there are no more, else the id after which to go on: the
    last one of `items`, or one that was looked at later."""

    items: Sequence[T]
    next_after: str | None


class ImageRepository(Protocol):
    """Records by id, with an index for lists.

    Reads by id are strongly consistent. A list may lag behind writes, but never contains a deleted image or one that
    does not match the filter.
    """

    def create(self, image: Image, *, claim: bool, replaces: str | None = None, quota: Quota = NO_QUOTA) -> None:
        """Write a new record with its index entries, all or nothing. Raises `AlreadyExists` if the id exists.

        A record with `upload_expires_at`, that of an upload ticket, is in no list; an `update` to None makes it a
        normal one. It stays when that time has passed: only a caller that has looked for its bytes may remove it. One
        with `trashed_at` is in the list of the trash only; an `update` to None brings it back.

        With `claim` the owner's pointer for `image.sha256` is written with it: it must be free, or name `replaces`. If
        it names another record, `HashTaken` says which and nothing is written. Of concurrent claims exactly one
        succeeds. Images and upload tickets have different pointers: that of a ticket is what `find_ticket` reads.

        Raises `OverQuota` and writes nothing if the owner's usage would exceed `quota`; if the pointer is not free
        either, `HashTaken`. Usage and record are written together, and `delete`, `remove` and `remove_all` free what
        the record uses in the same way, so that neither concurrent calls nor a crash can exceed or lose quota.
        """

    def claim(self, image: Image) -> bool:
        """Point the owner's hash `image.sha256` at this record if the pointer is free or already its own. Return True
        if it is now.

        Otherwise the record is noted as a further copy: when the record of the pointer is deleted, the pointer moves to
        the oldest copy. A pointer remembers at least the first twenty copies.
        """

    def get(self, image_id: str) -> Image | Tombstone | None:
        """Return the record, its tombstone, or None. A finished tombstone that has expired is absent."""

    def get_stored(self, image_id: str) -> StoredImage | None:
        """Return the record like `get`, without parsing it; None for a tombstone too."""

    def get_many(self, image_ids: Collection[str]) -> Mapping[str, Image]:
        """Return those records that exist, by id, without tombstones. Strongly consistent; at most 1,000 ids."""

    def versions(self, image_ids: Collection[str]) -> Mapping[str, int]:
        """Return the versions of those records that exist, without tombstones. Strongly consistent, and much cheaper
        than calling `get` for each."""

    def find_hash(self, owner: str, sha256: str) -> str | None:
        """Return the id in the owner's pointer for these bytes. Its record may be in any state. Strongly consistent."""

    def find_copies(self, owner: str, hashes: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return the ids of further copies that the owner's pointers for these bytes remember (see `claim`), by hash,
        oldest first, at most 20 of each. Strongly consistent; at most 1,000 hashes."""

    def find_hashes(self, owner: str, hashes: Collection[str]) -> Mapping[str, str]:
        """Return the ids in the owner's pointers for these bytes, by hash, like `find_hash`. At most 1,000 hashes."""

    def find_ticket(self, owner: str, sha256: str) -> str | None:
        """Return the id of one of the owner's upload tickets for these bytes that are not processed yet, usually the
        newest; None if there is none. Strongly consistent."""

    def find_bands(self, owner: str, bands: Collection[str], limit: int) -> Iterator[Sequence[tuple[str, str]]]:
        """Yield, for each of these bands, ids and perceptual hashes of images that have it: see `similar.bands`.

        At most `limit` (1-1,000) for each band, the newest ones. May lag behind writes.
        """

    def update(self, image_id: str, expected_version: int, changes: Mapping[str, Any]) -> Image:
        """Write the fields named in `changes` (names of `Image`, model values) and no others; index entries follow.

        `work` in `changes` maps tasks to add, or None to remove; other tasks stay. Raises `Stale` and writes nothing if
        the record is not at `expected_version`, is deleted or does not exist. The result has the next `version` and
        `updated_at` now; with `{}` only these two change.
        """

    def reindex(self, image: Image) -> bool:
        """Write the index entries that a record lacks because an older version wrote it. Return True if it lacked any.

        Raises `Stale` if the record has changed since it was read. The version stays.
        """

    def delete(self, image_id: str, expected_version: int, tombstone: Tombstone) -> None:
        """Replace the record by a tombstone. Its index entries are removed, and its hash pointer is removed or moves to
        a copy. Raises `Stale` like `update`.
        """

    def update_tombstone(self, image_id: str, work: Mapping[Task, Work | None]) -> None:
        """Add tasks to a tombstone, or remove those that map to None. It can expire when none is left.

        If there is no tombstone nothing is written, except that an index entry without a record is removed.
        """

    def remove(self, image_id: str, expected_version: int) -> None:
        """Remove a record without a tombstone. Index entries and hash pointer follow as in `delete`. Raises `Stale`."""

    def remove_all(self, images: Sequence[Image]) -> set[str]:
        """Remove many records like `remove`, each at the version of `images`. Return the ids that were removed.

        Records that have changed stay. Not atomic: after `Unavailable` some may be gone. A batch of a hundred is much
        faster than a hundred calls of `remove`.
        """

    def open_tickets(self, owner: str, limit: int) -> Sequence[str]:
        """Return the ids of the owner's upload tickets whose bytes have not been seen (`is_open_ticket`), oldest first,
        at most `limit`. May lag behind writes."""

    def list_stored(self, query: ListQuery) -> Page[StoredImage]:
        """Return one page like `list`, without parsing the records."""

    def list(self, query: ListQuery) -> Page[Image]:
        """Return one page, newest first if `descending`; the last one has no `next_after`.

        Pages are full while there are matches. One for which a thousand records were read may be short or empty. A walk
        over all pages contains every image that existed throughout exactly once. All pages cost the same, however deep.
        """

    def due(self, until: datetime) -> Iterator[str]:
        """Yield the ids of records and tombstones with a task due at `until` or before, about the earliest first.

        Also yields those with an implausible due time: later than `until` plus `LONGEST_DELAY` and not distant (see
        `Work.is_distant`). May lag behind writes, so some tasks may be finished by now.
        """

    def owned(self, owner: str) -> Iterator[str]:
        """Yield the ids of all images of an owner, with upload tickets and the trash. May lag behind writes."""

    def scan(self, after: str | None = None) -> Iterator[Image]:
        """Yield every record after the one with the id `after`, in an order of the repository's own.

        Reads the whole table: for commands that run once, never for a request.
        """

    def ping(self) -> None:
        """Return if the repository can be reached, else raise `Unavailable`."""
