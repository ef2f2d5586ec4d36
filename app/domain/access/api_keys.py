"""Callers and their scopes, and API keys in the settings, which hold hashes only."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from app.domain.access.own_limits import NO_OWN_LIMITS, OWN_LIMITS, OwnLimits, check_own_limits
from app.domain.errors import Forbidden, Invalid
from app.domain.models import ANONYMOUS

#: Prefix of every key, by which scanners for leaked secrets recognize one.
KEY_PREFIX = "dk_"
_KEY_BYTES = 32
#: Valid names of owners.
OWNER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"
_OWNER = re.compile(OWNER_PATTERN)
_FOUND_CHARACTERS = 80
_SHOWN_DIGITS = 20
_HASH = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"\d{1,16}(\.\d{1,17})?", re.ASCII)


class Scope(StrEnum):
    """Right of a key. `admin` includes all rights, for the images of every owner."""

    UPLOAD = "upload"
    READ = "read"
    EDIT = "edit"
    DELETE = "delete"
    ADMIN = "admin"


class Caller(NamedTuple):
    """Owner and scopes of a request. `has_key` is False where no API keys are required.

    `key_id` is the id of a key in the store, and the beginning of the hash of a key in the settings. `own_limits` are
    those of the key.
    """

    owner: str
    scopes: frozenset[Scope]
    has_key: bool = True
    key_id: str = ""
    own_limits: OwnLimits = NO_OWN_LIMITS

    @property
    def visible_owner(self) -> str | None:
        """Return the owner whose images this caller can see; None for those of every owner."""
        return None if Scope.ADMIN in self.scopes else self.owner

    def require(self, scope: Scope) -> None:
        """Raise `Forbidden` unless the caller has the scope."""
        if scope not in self.scopes and Scope.ADMIN not in self.scopes:
            detail = f"The API key lacks the scope `{scope}`. Use a key that has it."
            if not self.has_key:
                detail = f"Without API keys nobody has the scope `{scope}`. Set DARKROOM_AUTH=required, and use a key."
            raise Forbidden("scope_missing", detail, scope=scope)

    def list_owner(self, requested: str | None) -> str:
        """Return the owner whose images to list: `requested`, or the caller for None.

        Raises `Forbidden` for another owner unless the caller is an admin, whether or not there is such an owner.
        """
        return self._act_for(requested, "Another owner's images are listed")

    def upload_owner(self, requested: str | None) -> str:
        """Return the owner of images to upload: `requested`, or the caller for None.

        An empty name, as forms send for a field that nobody has filled in, is the caller too. Of an admin it is
        refused: a back end may have lost the name of its user. Raises `Invalid` for a name that no owner can have, and
        `Forbidden` for another owner unless the caller is an admin.
        """
        if requested == "" and Scope.ADMIN not in self.scopes:
            return self.owner
        if requested is not None and not _OWNER.fullmatch(requested):
            found = requested[:_FOUND_CHARACTERS]
            raise Invalid(
                "bad_owner",
                f"`owner` must be 1 to 128 letters, digits, and characters of `._@-`, and begin with a letter or a "
                f"digit (found: {found!a}).",
                field="owner",
                found=found,
            )
        return self._act_for(requested, "Images are uploaded for another owner")

    def _act_for(self, requested: str | None, action: str) -> str:
        if requested is None or requested == self.owner:
            return self.owner
        if Scope.ADMIN not in self.scopes:
            detail = f"{action} only with a key that has the scope `{Scope.ADMIN}`."
            raise Forbidden("scope_missing", detail, scope=Scope.ADMIN)
        return requested


#: The caller where no API keys are required: has all scopes except `admin`.
ANONYMOUS_CALLER = Caller(ANONYMOUS, frozenset({Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE}), has_key=False)


class ApiKey(NamedTuple):
    """One entry of the setting: owner, scopes, the SHA-256 of the key in hex, and limits of the key."""

    owner: str
    scopes: frozenset[Scope]
    sha256: str
    own_limits: OwnLimits = NO_OWN_LIMITS

    def __str__(self) -> str:
        own = [
            f":{name}={str(value).removesuffix('.0')}"
            for name, value in self.own_limits._asdict().items()
            if value is not None
        ]
        return f"{self.owner}:{'+'.join(sorted(self.scopes))}:{self.sha256}{''.join(own)}"

    @property
    def caller(self) -> Caller:
        """Owner and scopes of requests with this key."""
        return Caller(self.owner, self.scopes, key_id=self.sha256[:_SHOWN_DIGITS], own_limits=self.own_limits)


def new_key(owner: str, scopes: Iterable[Scope], own_limits: OwnLimits = NO_OWN_LIMITS) -> tuple[str, ApiKey]:
    """Create a key of 256 random bits and its entry. Raises ValueError for an invalid owner."""
    key = KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    return key, parse_keys(str(ApiKey(owner, frozenset(scopes), hash_key(key), own_limits)))[0]


def hash_key(key: str) -> str:
    """Hash a key for the setting. Random keys need no slow hash, because they cannot be guessed."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def parse_keys(text: str) -> list[ApiKey]:
    """Parse entries `<owner>:<scope>+<scope>:<sha256 hex>`, separated by commas or line breaks.

    Limits of a key follow its hash: `:rate_limit=5:quota_bytes=1000000:quota_images=100`, each optional. Raises
    ValueError that names the entry by its position, never by its hash.
    """
    keys: list[ApiKey] = []
    for number, entry in enumerate(filter(None, (part.strip() for part in re.split(r"[,\n]", text))), 1):
        where = f"entry {number}"
        if entry.count(":") < 2:  # the entry may be a key itself, so it is not repeated
            raise ValueError(f"{where}: must be `<owner>:<scope>+<scope>:<sha256 hex>` (`darkroom key entry create`)")
        owner, _, rest = entry.partition(":")
        scopes, _, rest = rest.partition(":")
        digest, *limits = rest.split(":")
        if not _OWNER.fullmatch(owner) or owner == ANONYMOUS:
            raise ValueError(f"{where}: {owner[:40]!r} is not a valid owner")
        unknown = set(scopes.split("+")) - set(Scope)
        if unknown:
            raise ValueError(f"{where}: unknown scope {min(unknown)[:40]!r}; scopes are {', '.join(Scope)}")
        if not _HASH.fullmatch(digest):
            raise ValueError(f"{where}: a key is given as 64 hex digits of its SHA-256 (`darkroom key entry create`)")
        if any(digest == key.sha256 for key in keys):
            raise ValueError(f"{where}: duplicate key")
        try:
            own_limits = _parse_limits(limits)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        keys.append(ApiKey(owner, frozenset(map(Scope, scopes.split("+"))), digest, own_limits))
    return keys


def _parse_limits(parts: list[str]) -> OwnLimits:
    """Parse `<name>=<number>`. Raises ValueError."""
    found: dict[str, float] = {}
    for part in parts:
        name, _, number = part.partition("=")
        if name not in OWN_LIMITS or name in found:
            raise ValueError(f"after the hash only {', '.join(OWN_LIMITS)} can follow, each once, as `:rate_limit=5`")
        if not _NUMBER.fullmatch(number) or ("." in number and name != "rate_limit"):
            raise ValueError(f"{name} must be a number, such as {name}=5; 0 is no limit")
        found[name] = float(number) if name == "rate_limit" else int(number)
    try:
        return check_own_limits(**{name: found.get(name) for name in OWN_LIMITS})  # type: ignore[arg-type]  # see above
    except Invalid as error:
        raise ValueError(error.detail) from None
