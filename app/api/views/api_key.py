"""Views of API keys in the store: never with a secret or its hash."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.domain.access.api_keys import Scope
from app.domain.access.stored_keys import StoredKey
from app.domain.models import Model

_EXAMPLE: JsonDict = {
    "id": "019ac4f1d2a07be31c55",
    "name": "web shop",
    "owner": "ann",
    "scopes": ["upload", "read"],
    "created_at": "2026-11-22T09:38:07Z",
    "expires_at": "2027-11-22T00:00:00Z",
    "last_used": "2026-11-28",
    "rotated_at": None,
    "secrets_ending_at": [],
    "rate_limit": 5,
    "quota_bytes": 1_000_000_000,
    "quota_images": None,
}


class ApiKeyView(Model):
    """An API key without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str = Field(description="Part of the key, so that a key can be found in this list.")
    name: str
    owner: str = Field(description="Owner of the images that are uploaded with the key.")
    scopes: Sequence[Scope]
    created_at: datetime
    expires_at: datetime | None = Field(description="From this time on the key is refused; null: never.")
    last_used: date | None = Field(description="Day of the last use, in UTC; null: never used.")
    rotated_at: datetime | None = Field(description="Time of the last rotation.")
    secrets_ending_at: Sequence[datetime] = Field(
        description="Times at which the keys from before a rotation end, newest first."
    )
    rate_limit: float | None = Field(
        description="Requests a second with this key; 0: no limit; null: that of the installation."
    )
    quota_bytes: int | None = Field(
        description="Quota in bytes of uploads with this key; 0: no limit; null: that of the installation."
    )
    quota_images: int | None = Field(
        description="Quota in images of uploads with this key; 0: no limit; null: that of the installation."
    )

    @classmethod
    def build(cls, key: StoredKey) -> Self:
        """Build the view of an entry."""
        return cls.model_validate(_fields(key))


class CreatedApiKey(ApiKeyView):
    """An API key with its secret, which is shown only once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_EXAMPLE, "key": "dk_019ac4f1d2a07be31c55_" + 43 * "x", "last_used": None}]}
    )

    key: str = Field(description="The key. It cannot be read again: the service stores its hash.")

    @classmethod
    def of(cls, key: str, entry: StoredKey) -> Self:
        """Build the view of a new key, or of a rotated one."""
        return cls.model_validate({"key": key, **_fields(entry)})


class ApiKeyList(Model):
    """A page of API keys."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: Sequence[ApiKeyView] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


def _fields(key: StoredKey) -> dict[str, object]:
    ends = [secret.ends_at for secret in key.secrets if secret.ends_at is not None]
    return {**key.model_dump(exclude={"secrets", "version"}), "secrets_ending_at": ends}
