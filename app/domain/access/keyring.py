"""Callers of API keys, which are in the settings or in the store."""

import hmac
from collections.abc import Sequence

from app.domain.access.api_keys import ApiKey, Caller, hash_key
from app.domain.access.key_cache import StoredKeys
from app.domain.errors import Unauthorized
from app.domain.models import utcnow

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="darkroom"'}
_REJECTED = {"WWW-Authenticate": 'Bearer realm="darkroom", error="invalid_token"'}


class Keyring:
    """Set of valid keys: `keys` of the settings, and those in the store, if there is one.

    A look-up takes the same time for known and unknown keys of the settings.
    """

    def __init__(self, keys: Sequence[ApiKey], stored: StoredKeys | None = None) -> None:
        self._keys = tuple(keys)
        self._stored = stored

    def reads_store(self, key: str) -> bool:
        """Return True if `caller` has to read the store, which may take a while."""
        return self._stored is not None and not self._stored.is_known(key)

    def caller(self, key: str) -> Caller:
        """Return the caller of a key.

        Raises `Unauthorized` for a missing, unknown or expired one, and `Unavailable` if the store cannot be read.
        """
        if not key:
            detail = "This request needs an API key. Send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`."
            raise Unauthorized("key_missing", detail, headers=_CHALLENGE)
        digest = hash_key(key)
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.sha256, digest):
                found = known
        if found is not None:
            return found.caller
        entry = None if self._stored is None else self._stored.find(key)
        if entry is None:
            raise Unauthorized("key_unknown", "Unknown API key.", headers=_REJECTED)
        if entry.has_expired(utcnow()):
            detail = "The API key has expired. Ask the operator for a new one."
            raise Unauthorized("key_expired", detail, headers=_REJECTED, expired_at=entry.expires_at)
        return entry.caller
