"""Creation, change, rotation and revocation of API keys in the store, for the API and for operator commands."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from app.domain.access.key_cache import StoredKeys
from app.domain.access.own_limits import NO_OWN_LIMITS, OWN_LIMITS, OwnLimits, check_own_limits
from app.domain.access.stored_keys import (
    GRACE,
    StoredKey,
    check_expiry,
    check_key_owner,
    check_name,
    check_scopes,
    is_key_id,
    new_key_id,
    new_secret,
    rotate,
)
from app.domain.errors import KeepsChanging, Missing, NotFound, Stale
from app.domain.models import utcnow
from app.domain.ports.key_store import KeyStore

T = TypeVar("T")
_ATTEMPTS = 5
#: Fields of a key that can be changed. Another owner or other scopes would be another key.
CHANGEABLE = ("name", "expires_at", *OWN_LIMITS)


class KeyAdmin:
    """Changes of the API keys in a store. `cache` is that of this process, which follows them at once."""

    def __init__(self, store: KeyStore, cache: StoredKeys | None = None) -> None:
        self._store = store
        self._cache = cache

    def create(
        self,
        *,
        name: str,
        owner: str,
        scopes: Sequence[str],
        expires_at: datetime | None = None,
        own_limits: OwnLimits = NO_OWN_LIMITS,
    ) -> tuple[str, StoredKey]:
        """Create a key; return it with its entry. It cannot be read again. Raises `Invalid`."""
        now = utcnow()
        key_id = new_key_id()
        key, secret = new_secret(key_id)
        entry = StoredKey(
            id=key_id,
            name=check_name(name),
            owner=check_key_owner(owner),
            scopes=check_scopes(scopes),
            secrets=(secret,),
            created_at=now,
            expires_at=None if expires_at is None else check_expiry(expires_at, now),
            **check_own_limits(*own_limits)._asdict(),
        )
        self._store.create(entry)
        return key, entry

    def list(self, limit: int, after: str | None = None) -> Sequence[StoredKey]:
        """Return entries, newest first: see `KeyStore.list`."""
        return self._store.list(limit, after)

    def edit(self, key_id: str, changes: Mapping[str, Any]) -> StoredKey:
        """Change the fields named, which are some of `CHANGEABLE`; return the entry.

        Raises `NotFound` for an unknown key, and `Invalid` for a wrong value.
        """
        checked = dict(changes)
        if "name" in checked:
            checked["name"] = check_name(checked["name"])
        if checked.get("expires_at") is not None:
            checked["expires_at"] = check_expiry(checked["expires_at"], utcnow())
        check_own_limits(**{name: checked.get(name) for name in OWN_LIMITS})

        def change(found: StoredKey) -> tuple[StoredKey, StoredKey]:
            changed = found.model_copy(update={**checked, "version": found.version + 1})
            return changed, changed

        return self._replace(key_id, change)

    def rotate(self, key_id: str, grace: timedelta = GRACE) -> tuple[str, StoredKey]:
        """Give a key a new secret; return it with its entry. Older secrets end after `grace`.

        Raises `NotFound` for an unknown key, and `Conflict` for one that has expired or has too many valid secrets.
        """

        def change(found: StoredKey) -> tuple[StoredKey, tuple[str, StoredKey]]:
            key, secret = new_secret(key_id)
            rotated = rotate(found, secret, grace, utcnow())
            return rotated, (key, rotated)

        return self._replace(key_id, change)

    def revoke(self, key_id: str) -> bool:
        """Remove a key. Return False if there is none. Raises `NotFound` for a text that is no id of a key."""
        if not is_key_id(key_id):
            raise _not_found()
        was_there = self._store.delete(key_id)
        self._forget(key_id)
        return was_there

    def _replace(self, key_id: str, change: Callable[[StoredKey], tuple[StoredKey, T]]) -> T:
        """Replace an entry by a changed one; return the second part of the change."""
        for _ in range(_ATTEMPTS):
            found = self._store.get(key_id) if is_key_id(key_id) else None
            if found is None:
                raise _not_found()
            changed, result = change(found)
            try:
                self._store.replace(changed)
            except Stale:
                continue
            except Missing:
                raise _not_found() from None
            self._forget(key_id)
            return result
        raise KeepsChanging(key_id)

    def _forget(self, key_id: str) -> None:
        if self._cache is not None:
            self._cache.forget(key_id)


def _not_found() -> NotFound:
    detail = "No API key of the store has this id: 20 hex digits, after `dk_` in a key. `GET /keys` lists the ids."
    return NotFound("key_not_found", detail)
