"""JSON schemas of the fields that describe an image."""

from typing import Any

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.models import Visibility
from app.domain.uploads.field_values import (
    ALT_CHARACTERS,
    METADATA_BYTES,
    METADATA_KEY_PATTERN,
    METADATA_KEYS,
    TAG_CHARACTERS,
    TAGS,
    TITLE_CHARACTERS,
)

_METADATA_TEXT = f"Texts of your own, by name: at most {METADATA_KEYS} keys, and {METADATA_BYTES:,} bytes in all."
_FOCAL_POINT_TEXT = "Point that cropped variants keep, as fractions of the displayed width and height."
_VISIBILITY_TEXT = "`public`: everybody can see the variants, under urls that last. The default is the service's."
_COORDINATE = {"type": "number", "minimum": 0, "maximum": 1}

# Empty examples, because "Try it out" would send the text "string" for fields that are not filled in.
TITLE: dict[str, Any] = {
    "type": "string",
    "maxLength": TITLE_CHARACTERS,
    "description": "Title of the image.",
    "examples": [""],
}
ALT: dict[str, Any] = {
    "type": "string",
    "examples": [""],
    "maxLength": ALT_CHARACTERS,
    "description": "Alternative text, for people who cannot see the image.",
}
TAG_LIST: dict[str, Any] = {
    "type": "array",
    "examples": [[]],
    "maxItems": TAGS,
    "items": {"type": "string", "maxLength": TAG_CHARACTERS},
}
TAGS_FIELD: dict[str, Any] = {**TAG_LIST, "description": "Tags, repeated or separated by commas."}
METADATA: dict[str, Any] = {
    "type": "object",
    "examples": [{}],
    "maxProperties": METADATA_KEYS,
    "propertyNames": {"pattern": METADATA_KEY_PATTERN},
    "additionalProperties": {"type": "string"},
    "description": _METADATA_TEXT,
}
FOCAL_POINT: dict[str, Any] = {
    "type": "object",
    "required": ["x", "y"],
    "additionalProperties": False,
    "properties": {"x": _COORDINATE, "y": _COORDINATE},
    "description": _FOCAL_POINT_TEXT,
}
VISIBILITY: dict[str, Any] = {"type": "string", "enum": list(Visibility), "description": _VISIBILITY_TEXT}
OWNER: dict[str, Any] = {
    "type": "string",
    "pattern": OWNER_PATTERN,
    "description": "Owner of the image. Any but your own needs the scope `admin`.",
}
FILENAME: dict[str, Any] = {"type": "string", "description": "File name, for display only."}

#: Fields of a JSON body that describe a new image.
DESCRIPTION_FIELDS: dict[str, Any] = {
    "title": TITLE,
    "alt": ALT,
    "tags": TAGS_FIELD,
    "metadata": METADATA,
    "focal_point": FOCAL_POINT,
    "visibility": VISIBILITY,
    "owner": OWNER,
}
#: The same fields of a form. Empty ones count as absent.
FORM_FIELDS: dict[str, Any] = {
    **DESCRIPTION_FIELDS,
    "metadata": {**METADATA, "description": f"{_METADATA_TEXT} JSON, or one field `metadata[<key>]` for each text."},
    "focal_point": {
        "type": "string",
        "examples": [""],
        "description": f"{_FOCAL_POINT_TEXT} `x,y`, such as `0.5,0.25`, or JSON.",
    },
    "visibility": {
        "type": "string",
        "pattern": f"^({'|'.join(Visibility)})?$",
        "examples": [""],
        "description": _VISIBILITY_TEXT,
    },
    "owner": {**OWNER, "pattern": f"^({OWNER_PATTERN[1:-1]})?$", "examples": [""]},
}
