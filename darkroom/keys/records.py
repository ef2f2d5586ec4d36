"""API keys as objects, with the members of the JSON documents."""

from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, kw_only=True)
class Key:
    """An API key in the store."""

    id: str
    name: str
    #: Owner of the images that are uploaded with the key.
    owner: str
    scopes: tuple[str, ...] = ()
    #: Limits of the key: requests a second, and quotas of its owner; 0: no limit; None: those of the installation.
    rate_limit: float | None = None
    quota_bytes: int | None = None
    quota_images: int | None = None
    #: From this time on the key is refused; None: never.
    expires_at: datetime | None = None
    #: Day of the last use, in UTC.
    last_used: date | None = None
    created_at: datetime | None = None
    rotated_at: datetime | None = None
    #: When the keys from before a rotation end.
    secrets_ending_at: tuple[datetime, ...] = ()
    #: `dk_…`; in the answers to a creation and a rotation only.
    key: str | None = field(default=None, repr=False)
