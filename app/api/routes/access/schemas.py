"""JSON schemas of the request bodies of API keys."""

from typing import Any

from app.domain.access.api_keys import OWNER_PATTERN, Scope
from app.domain.access.own_limits import MAX_QUOTA, MAX_RATE
from app.domain.access.stored_keys import GRACE, MAX_GRACE, MAX_LIFE, NAME_CHARACTERS

MAX_SCOPES = 20
GRACE_SECONDS, MAX_GRACE_SECONDS = int(GRACE.total_seconds()), int(MAX_GRACE.total_seconds())

_NAME: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": NAME_CHARACTERS,
    "description": "Says what the key is for. Several keys can have the same name.",
}
#: Fields with a default, which null sets.
_OPTIONAL: dict[str, Any] = {
    "expires_at": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": f"From this time on the key is refused: within {MAX_LIFE.days:,} days; null: never.",
    },
    "rate_limit": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": MAX_RATE,
        "description": "Requests a second, at least 0.1; 0: no limit; null: that of the installation.",
    },
    "quota_bytes": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": MAX_QUOTA,
        "description": "Most bytes that the owner may store by uploads with this key; 0: no limit; null: that of the "
        "installation.",
    },
    "quota_images": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": MAX_QUOTA,
        "description": "Most images that the owner may have after uploads with this key; 0: no limit; null: that of "
        "the installation.",
    },
}
#: JSON schema of a new key.
KEY_BODY: dict[str, Any] = {
    "type": "object",
    "title": "KeyBody",
    "description": "The API key to create.",
    "required": ["name", "owner", "scopes"],
    "additionalProperties": False,
    "properties": {
        "name": _NAME,
        "owner": {
            "type": "string",
            "pattern": OWNER_PATTERN,
            "description": "Owner of the images that are uploaded with the key; not `anonymous`.",
        },
        "scopes": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_SCOPES,
            "items": {"type": "string", "enum": [scope.value for scope in Scope]},
            "description": "What the key may do. `admin` includes everything, for every owner.",
        },
        **{name: {**schema, "default": None} for name, schema in _OPTIONAL.items()},
    },
}
#: JSON schema of a change.
KEY_PATCH: dict[str, Any] = {
    "type": "object",
    "title": "KeyPatch",
    "description": "Fields of an API key to change, as a JSON merge patch.",
    "additionalProperties": False,
    "properties": {"name": _NAME, **_OPTIONAL},
}
#: JSON schema of a rotation.
ROTATION_BODY: dict[str, Any] = {
    "type": "object",
    "title": "KeyRotation",
    "description": "The rotation of an API key.",
    "additionalProperties": False,
    "properties": {
        "grace_seconds": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_GRACE_SECONDS,
            "default": GRACE_SECONDS,
            "description": "Time for which the old key stays valid: 24 hours by default, at most 30 days. 0: it ends "
            "at once.",
        }
    },
}
