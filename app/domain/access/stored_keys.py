"""API keys in the store: their form, their entries, and the checks of what an operator asks for.

A key is `dk_<id>_<secret>`. The id finds the entry by one read, and the secret is compared by its hash. A rotated key
keeps its id, so a key can have several secrets, of which all but the newest end at a known time.
"""

import hmac
import os
import re
import secrets
import time
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from pydantic import AwareDatetime

from app.domain.access.api_keys import KEY_PREFIX, OWNER_PATTERN, Caller, Scope, hash_key
from app.domain.access.own_limits import OwnLimits
from app.domain.errors import Conflict, Invalid
from app.domain.models import ANONYMOUS, Model
from app.domain.text import normal_text
from app.domain.times import is_implausible

NAME_CHARACTERS = 100
#: Longest life of a key that expires.
MAX_LIFE = timedelta(days=3660)
#: Time that an old secret lives on after a rotation: by default, and at most.
GRACE, MAX_GRACE = timedelta(hours=24), timedelta(days=30)
#: Maximum number of valid secrets of one key.
MAX_SECRETS = 5

KEY_ID_PATTERN = "^[0-9a-f]{20}$"
_KEY_ID = re.compile(KEY_ID_PATTERN)
_KEY = re.compile(rf"{KEY_PREFIX}([0-9a-f]{{20}})_[A-Za-z0-9_-]{{43}}", re.ASCII)
_SECRET_BYTES = 32
_FOUND_CHARACTERS = 80
#: Raw text may be this many times longer: see `field_values`.
_RAW_FACTOR = 4


class KeySecret(Model, defer_build=True):
    """A valid secret of a key: the SHA-256 of the whole key, and the time at which it ends; None for the newest."""

    sha256: str
    ends_at: AwareDatetime | None = None

    def has_ended(self, now: datetime) -> bool:
        """Return True if the secret has ended, or would end later than any rotation allows: the clock was wrong."""
        return self.ends_at is not None and (self.ends_at <= now or is_implausible(self.ends_at, now, MAX_GRACE))


class StoredKey(Model, defer_build=True):
    """An entry of the store. `secrets` has the newest one first. `version` counts the changes except `last_used`.

    The limits are those of `OwnLimits`.
    """

    id: str
    name: str
    owner: str
    scopes: tuple[Scope, ...]
    secrets: tuple[KeySecret, ...]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    rotated_at: AwareDatetime | None = None
    last_used: date | None = None
    rate_limit: float | None = None
    quota_bytes: int | None = None
    quota_images: int | None = None
    version: int = 1

    def has_expired(self, now: datetime) -> bool:
        """Return True from the time of `expires_at` on."""
        return self.expires_at is not None and self.expires_at <= now

    def accepts(self, digest: str, now: datetime) -> bool:
        """Return True if this is the hash of a valid secret. Takes the same time for each hash."""
        matches = [hmac.compare_digest(each.sha256, digest) and not each.has_ended(now) for each in self.secrets]
        return any(matches)

    @property
    def caller(self) -> Caller:
        """Owner and scopes of requests with this key."""
        return Caller(self.owner, frozenset(self.scopes), key_id=self.id, own_limits=self.own_limits)

    @property
    def own_limits(self) -> OwnLimits:
        """Limits of the key in place of those of the installation."""
        return OwnLimits(self.rate_limit, self.quota_bytes, self.quota_images)


def read_key_id(key: str) -> str | None:
    """Return the id in a key; None for a text that no key of the store has."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def is_key_id(text: str) -> bool:
    """Return True if the text has the form of a key's id."""
    return _KEY_ID.fullmatch(text) is not None


def new_key_id() -> str:
    """Return a new id: 48 bits of the time in milliseconds, by which lists are sorted, and 32 random bits."""
    return f"{time.time_ns() // 1_000_000 & (1 << 48) - 1:012x}{os.urandom(4).hex()}"


def new_secret(key_id: str) -> tuple[str, KeySecret]:
    """Create a key with this id and 256 random bits, and the entry of its secret."""
    key = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key, KeySecret(sha256=hash_key(key))


def rotate(key: StoredKey, secret: KeySecret, grace: timedelta, now: datetime) -> StoredKey:
    """Return the entry with a new secret. Older ones end after `grace`, or earlier if they would anyway.

    Raises `Conflict` if the key has too many valid secrets then, and for a key that has expired: so would the new one.
    """
    if key.has_expired(now):
        detail = "The key has expired, and so would the new one. Create another key."
        raise Conflict("expired_key", detail, expired_at=key.expires_at)
    ends_at = now + grace
    older = [
        KeySecret(sha256=each.sha256, ends_at=min(each.ends_at or ends_at, ends_at))
        for each in key.secrets
        if grace and not each.has_ended(now)
    ]
    if len(older) >= MAX_SECRETS:
        raise Conflict(
            "too_many_secrets",
            f"The key has {len(older)} valid secrets already. Rotate it with `grace_seconds` 0, which ends them, or "
            "wait until one has ended.",
            measured=len(older),
            limit=MAX_SECRETS,
        )
    fields = {"secrets": (secret, *older), "rotated_at": now, "version": key.version + 1}
    return key.model_copy(update=fields)


def check_name(name: str) -> str:
    """Return a name of a key in its stored form. Raises `Invalid`."""
    checked = normal_text(name) if len(name) <= _RAW_FACTOR * NAME_CHARACTERS else name
    if not checked:
        detail = f"`name` is required: 1 to {NAME_CHARACTERS} characters that say what the key is for."
        raise Invalid("missing_field", detail, field="name")
    if len(checked) > NAME_CHARACTERS:
        detail = f"`name` has {len(checked):,} characters. The limit is {NAME_CHARACTERS}."
        raise Invalid("too_long", detail, field="name", measured=len(checked), limit=NAME_CHARACTERS)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in checked):
        detail = "`name` contains a control character or an unpaired surrogate. Remove it."
        raise Invalid("control_character", detail, field="name")
    return checked


def check_key_owner(owner: str) -> str:
    """Return the owner of a key. Raises `Invalid`."""
    if not re.fullmatch(OWNER_PATTERN, owner) or owner == ANONYMOUS:
        found = owner[:_FOUND_CHARACTERS]
        raise Invalid(
            "bad_owner",
            "`owner` must be 1 to 128 letters, digits, and characters of `._@-`, begin with a letter or a digit, and "
            f"not be `{ANONYMOUS}` (found: {found!a}).",
            field="owner",
            found=found,
        )
    return owner


def check_scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    """Return the scopes in their usual order, each once. Raises `Invalid` for none and for unknown ones."""
    known = [scope.value for scope in Scope]
    unknown = [scope for scope in scopes if scope not in known]
    if unknown or not scopes:
        found = unknown[0][:_FOUND_CHARACTERS] if unknown else None
        shown = "none" if found is None else ascii(found)
        detail = f"`scopes` must name at least one of {', '.join(known)} (found: {shown})."
        raise Invalid("bad_scopes", detail, field="scopes", found=found, accepted=known)
    return tuple(scope for scope in Scope if scope in scopes)


def check_expiry(expires_at: datetime, now: datetime) -> datetime:
    """Return a time of expiry. Raises `Invalid` for one that has passed or is too far away."""
    if not now < expires_at <= now + MAX_LIFE:
        latest = now + MAX_LIFE
        raise Invalid(
            "bad_expiry",
            f"`expires_at` must be in the future and at most {MAX_LIFE.days:,} days away, or absent for a key that "
            f"does not expire (found: {expires_at.isoformat()}).",
            field="expires_at",
            found=expires_at.isoformat(),
            latest=latest.replace(microsecond=0).isoformat(),
        )
    return expires_at


def check_grace(seconds: int) -> timedelta:
    """Return the time that an old secret lives on. Raises `Invalid`."""
    most = int(MAX_GRACE.total_seconds())
    if not 0 <= seconds <= most:
        detail = f"`grace_seconds` must be between 0 and {most:,}, which is {MAX_GRACE.days} days (found: {seconds})."
        raise Invalid("out_of_range", detail, field="grace_seconds", minimum=0, maximum=most)
    return timedelta(seconds=seconds)
