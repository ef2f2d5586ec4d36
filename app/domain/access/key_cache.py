"""Look-up of API keys in the store, with a cache that is bounded in time and size."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime
from typing import NamedTuple

from app.domain.access.api_keys import hash_key
from app.domain.access.stored_keys import StoredKey, read_key_id
from app.domain.errors import PortError
from app.domain.models import utcnow
from app.domain.ports.key_store import KeyStore

log = logging.getLogger(__name__)

#: Time that an entry, or the absence of one, is remembered. Changes by another process take effect after it.
CACHE_SECONDS = 20
#: Time after which the entry is read again for a secret that it does not have: the key may have been rotated.
RECHECK_SECONDS = 2
#: Maximum numbers of known and of unknown ids in the cache. Each pushes out its own kind only.
MAX_KNOWN, MAX_UNKNOWN = 4096, 4096


class _Cached(NamedTuple):
    """An entry, or the absence of one, with the times of reading it, and the day of use that was stored last."""

    entry: StoredKey | None
    read_at: float
    read_on: datetime
    used: date | None


class StoredKeys:
    """API keys of a `KeyStore`. `clock` is monotonic, `now` is the time of day.

    An entry is old when either clock says so: the first one may stand still while a function is frozen, and the second
    one may be set back.
    """

    def __init__(
        self, store: KeyStore, *, clock: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = utcnow
    ) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Cached] = OrderedDict()
        self._unknown: OrderedDict[str, _Cached] = OrderedDict()
        self._changes = 0

    def find(self, key: str) -> StoredKey | None:
        """Return the entry of a key, also of one that has expired; None for an unknown one.

        May read the store. Raises `Unavailable`.
        """
        key_id = read_key_id(key)
        if key_id is None:
            return None
        digest = hash_key(key)
        cached = self._fresh(key_id, digest) or self._read(key_id)
        if cached.entry is None or not cached.entry.accepts(digest, self._now()):
            return None
        if self._is_first_use(cached, cached.entry):
            self._note_use(cached, cached.entry)
        return cached.entry

    def is_known(self, key: str) -> bool:
        """Return True if `find` neither reads nor writes the store for this key."""
        key_id = read_key_id(key)
        if key_id is None:
            return True
        digest = hash_key(key)
        cached = self._fresh(key_id, digest)
        if cached is None or cached.entry is None:
            return cached is not None
        return not (cached.entry.accepts(digest, self._now()) and self._is_first_use(cached, cached.entry))

    def forget(self, key_id: str) -> None:
        """Have the next request read the entry again, and do not remember what is being read now."""
        with self._lock:
            self._changes += 1
            self._known.pop(key_id, None)
            self._unknown.pop(key_id, None)

    def _fresh(self, key_id: str, digest: str) -> _Cached | None:
        with self._lock:
            cached = self._known.get(key_id) or self._unknown.get(key_id)
            if cached is None:
                return None
            if key_id in self._known:
                self._known.move_to_end(key_id)
        now = self._now()
        is_wrong = cached.entry is not None and not cached.entry.accepts(digest, now)
        limit = RECHECK_SECONDS if is_wrong else CACHE_SECONDS
        ages = (self._clock() - cached.read_at, (now - cached.read_on).total_seconds())
        return cached if all(0 <= age < limit for age in ages) else None

    def _read(self, key_id: str) -> _Cached:
        read_at, read_on, changes = self._clock(), self._now(), self._changes
        entry = self._store.get(key_id)
        cached = _Cached(entry, read_at, read_on, entry.last_used if entry else None)
        with self._lock:
            if self._changes != changes:
                return cached
            self._known.pop(key_id, None)
            self._unknown.pop(key_id, None)
            kept, most = (self._unknown, MAX_UNKNOWN) if entry is None else (self._known, MAX_KNOWN)
            kept[key_id] = cached
            if len(kept) > most:
                kept.popitem(last=False)
        return cached

    def _is_first_use(self, cached: _Cached, entry: StoredKey) -> bool:
        """Return True if the day of a use now is not stored yet. A refused request is no use."""
        now = self._now()
        return cached.used != now.date() and not entry.has_expired(now)

    def _note_use(self, cached: _Cached, entry: StoredKey) -> None:
        """Store the day of use. A failure is logged, and the next attempt follows when the entry is read again."""
        day = self._now().date()
        with self._lock:
            if self._known.get(entry.id) is cached:
                self._known[entry.id] = cached._replace(used=day)
        try:
            self._store.touch(entry.id, day)
        except PortError:
            log.warning("the day of use of an API key was not stored", extra={"key": entry.id})
