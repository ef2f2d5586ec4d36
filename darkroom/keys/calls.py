"""Calls about API keys in the store. They need a key with the scope `admin`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack

from darkroom.base import BaseClient
from darkroom.connection import item_path
from darkroom.errors import InvalidArgument
from darkroom.keys.records import Key


class KeyLimits(TypedDict, total=False):
    """Expiry and limits of a key. 0 is no limit, None that of the installation."""

    expires_at: datetime | None
    #: Requests a second.
    rate_limit: float | None
    #: Most bytes and most images that the owner may have after uploads with the key.
    quota_bytes: int | None
    quota_images: int | None


class KeyChanges(KeyLimits, total=False):
    """Fields of a key that can be changed."""

    name: str


class KeyCalls(BaseClient):
    """Calls about API keys."""

    def keys(self, *, page_size: int = 100) -> Iterator[Key]:
        """Yield all keys of the store, newest first, without their secrets.

        >>> [each.name for each in admin.keys()]
        []
        """
        return self._pages(Key, "/keys", {"limit": page_size})

    def create_key(
        self, owner: str, scopes: Sequence[str], *, name: str | None = None, **limits: Unpack[KeyLimits]
    ) -> Key:
        """Create a key, and return it with its `key`, which cannot be read again. `name` says what it is for.

        The request is not repeated after a lost connection, because it would create another key.

        >>> made = admin.create_key("ann", ["upload", "read"], name="web shop", rate_limit=5, quota_images=1000)
        >>> made.key[:3], made.rate_limit, made.quota_bytes
        ('dk_', 5.0, None)
        >>> admin.revoke_key(made.id)
        """
        if isinstance(scopes, str):
            raise InvalidArgument('scopes must be a list, such as ["read"].')
        body = {"name": owner if name is None else name, "owner": owner, "scopes": list(scopes), **_json({**limits})}
        answer = self._connection.call("POST", "/keys", json=body, expected={201}, repeatable=False)
        return self._connection.decode(Key, answer)

    def edit_key(self, key_id: str, **changes: Unpack[KeyChanges]) -> Key:
        """Change the given fields of a key. The service follows within 30 seconds.

        >>> made = admin.create_key("ann", ["read"])
        >>> admin.edit_key(made.id, rate_limit=0.5).rate_limit
        0.5
        >>> admin.revoke_key(made.id)
        """
        answer = self._connection.call("PATCH", item_path("keys", key_id), json=_json({**changes}))
        return self._connection.decode(Key, answer)

    def rotate_key(self, key_id: str, *, grace_seconds: int | None = None) -> Key:
        """Give a key a new secret, and return it with its `key`. The old one stays valid for 24 hours, or for the given
        time.

        >>> made = admin.create_key("ann", ["read"])
        >>> admin.rotate_key(made.id, grace_seconds=0).key != made.key
        True
        >>> admin.revoke_key(made.id)
        """
        body = {} if grace_seconds is None else {"grace_seconds": grace_seconds}
        answer = self._connection.call("POST", item_path("keys", key_id, "/rotate"), json=body, repeatable=False)
        return self._connection.decode(Key, answer)

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key with all its secrets. Unknown ids are not an error.

        >>> admin.revoke_key("019ac4f1d2a07be31c55")
        """
        self._connection.call("DELETE", item_path("keys", key_id), expected={204})


def _json(fields: dict[str, Any]) -> dict[str, Any]:
    moment = fields.get("expires_at")
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidArgument("expires_at needs a time zone. Use datetime.now(UTC) and a timedelta, for example.")
        fields["expires_at"] = moment.isoformat()
    return fields
