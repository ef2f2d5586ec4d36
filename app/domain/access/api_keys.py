"""Callers and their scopes, and API keys in the settings, which hold hashes only."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

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


class Scope(StrEnum):
    """Right of a key. `admin` includes all rights, for the images of every owner."""

    UPLOAD = "upload"
    READ = "read"
    EDIT = "edit"
    DELETE = "delete"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Owner and scopes of a request. `has_key` is False where no API keys are required.

    `key_id` is the id of a key in the store, and the beginning of the hash of a key in the settings.
    """

    owner: str
    scopes: frozenset[Scope]
    has_key: bool = True
    key_id: str = field(default="", compare=False)

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


@dataclass(frozen=True)
class ApiKey:
    """One entry of the setting: owner, scopes, and the SHA-256 of the key in hex."""

    owner: str
    scopes: frozenset[Scope]
    sha256: str

    def __str__(self) -> str:
        return f"{self.owner}:{'+'.join(sorted(self.scopes))}:{self.sha256}"

    @property
    def caller(self) -> Caller:
        """Owner and scopes of requests with this key."""
        return Caller(self.owner, self.scopes, key_id=self.sha256[:_SHOWN_DIGITS])


def new_key(owner: str, scopes: Iterable[Scope]) -> tuple[str, ApiKey]:
    """Create a key of 256 random bits and its entry. Raises ValueError for an invalid owner."""
    key = KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    return key, parse_keys(str(ApiKey(owner, frozenset(scopes), hash_key(key))))[0]


def hash_key(key: str) -> str:
    """Hash a key for the setting. Random keys need no slow hash, because they cannot be guessed."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def parse_keys(text: str) -> list[ApiKey]:
    """Parse entries `<owner>:<scope>+<scope>:<sha256 hex>`, separated by commas or line breaks.

    Raises ValueError that names the entry by its position, never by its hash.
    """
    keys: list[ApiKey] = []
    for number, entry in enumerate(filter(None, (part.strip() for part in re.split(r"[,\n]", text))), 1):
        where = f"entry {number}"
        if entry.count(":") < 2:  # the entry may be a key itself, so it is not repeated
            raise ValueError(f"{where}: must be `<owner>:<scope>+<scope>:<sha256 hex>` (`darkroom key entry create`)")
        owner, _, rest = entry.partition(":")
        scopes, _, digest = rest.partition(":")
        if not _OWNER.fullmatch(owner) or owner == ANONYMOUS:
            raise ValueError(f"{where}: {owner[:40]!r} is not a valid owner")
        unknown = set(scopes.split("+")) - set(Scope)
        if unknown:
            raise ValueError(f"{where}: unknown scope {min(unknown)[:40]!r}; scopes are {', '.join(Scope)}")
        if not _HASH.fullmatch(digest):
            raise ValueError(f"{where}: a key is given as 64 hex digits of its SHA-256 (`darkroom key entry create`)")
        if any(digest == key.sha256 for key in keys):
            raise ValueError(f"{where}: duplicate key")
        keys.append(ApiKey(owner, frozenset(map(Scope, scopes.split("+"))), digest))
    return keys
