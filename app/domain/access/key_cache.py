"""Look-up of API keys in the store, with a cache that is bounded in time and size."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

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


@dataclass(frozen=True)
class _Cached:
    entry: StoredKey | None
    read_at: float


class StoredKeys:
    """API keys of a `KeyStore`. `clock` is monotonic, `now` is the time of day."""

    def __init__(
        self, store: KeyStore, *, clock: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = utcnow
    ) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Cached] = OrderedDict()
        self._unknown: OrderedDict[str, _Cached] = OrderedDict()

    def find(self, key: str) -> StoredKey | None:
        """Return the entry of a key, also of one that has expired; None for an unknown one.

        May read the store. Raises `Unavailable`.
        """
        key_id = read_key_id(key)
        if key_id is None:
            return None
        cached = self._fresh(key_id, key)
        entry = self._read(key_id).entry if cached is None else cached.entry
        if entry is None or not entry.accepts(hash_key(key), self._now()):
            return None
        if cached is None:
            self._note_use(entry)
        return entry

    def is_known(self, key: str) -> bool:
        """Return True if `find` does not read the store for this key."""
        key_id = read_key_id(key)
        return key_id is None or self._fresh(key_id, key) is not None

    def forget(self, key_id: str) -> None:
        """Have the next request read the entry again."""
        with self._lock:
            self._known.pop(key_id, None)
            self._unknown.pop(key_id, None)

    def _fresh(self, key_id: str, key: str) -> _Cached | None:
        with self._lock:
            cached = self._known.get(key_id) or self._unknown.get(key_id)
            if cached is None:
                return None
            age = self._clock() - cached.read_at
            if key_id in self._known:
                self._known.move_to_end(key_id)
        is_wrong = cached.entry is not None and not cached.entry.accepts(hash_key(key), self._now())
        return cached if age < (RECHECK_SECONDS if is_wrong else CACHE_SECONDS) else None

    def _read(self, key_id: str) -> _Cached:
        read_at = self._clock()
        entry = self._store.get(key_id)
        cached = _Cached(entry, read_at)
        with self._lock:
            self._known.pop(key_id, None)
            self._unknown.pop(key_id, None)
            kept, most = (self._unknown, MAX_UNKNOWN) if entry is None else (self._known, MAX_KNOWN)
            kept[key_id] = cached
            if len(kept) > most:
                kept.popitem(last=False)
        return cached

    def _note_use(self, entry: StoredKey) -> None:
        """Store the day of use, unless the entry has it. A failure is logged: the request goes on."""
        day = self._now().date()
        if entry.last_used == day:
            return
        try:
            self._store.touch(entry.id, day)
        except PortError:
            log.warning("the day of use of an API key was not stored", extra={"key": entry.id})
