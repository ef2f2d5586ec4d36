"""Port of the API keys in the store."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from app.domain.access.stored_keys import StoredKey


class KeyStore(Protocol):
    """Entries of API keys. Every read sees all writes that have returned before it."""

    def create(self, key: StoredKey) -> None:
        """Store a new entry, durable when the call returns. Raises `AlreadyExists` for a known id."""

    def get(self, key_id: str) -> StoredKey | None:
        """Return the entry by one read; None if there is none."""

    def list(self, limit: int, after: str | None = None) -> Sequence[StoredKey]:
        """Return at most `limit` (1-201) entries, newest first: in descending order of ids, below the id `after`."""

    def replace(self, key: StoredKey) -> None:
        """Store a changed entry, whose `version` is one more than the stored one; `last_used` stays as it is stored.

        Raises `Stale` for another version, and `Missing` if there is no entry.
        """

    def touch(self, key_id: str, day: date) -> None:
        """Store `last_used`. An entry that is gone stays so, and is no error. Other fields and the version stay."""

    def delete(self, key_id: str) -> bool:
        """Remove an entry. Return False if there is none."""
