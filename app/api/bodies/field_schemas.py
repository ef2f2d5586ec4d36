"""JSON schemas of the fields that uploads and tickets have in common, for the API's description."""

from typing import Any

from app.domain.uploads.descriptions import ALT_CHARACTERS, TAG_CHARACTERS, TAGS, TITLE_CHARACTERS

# The examples are empty so that "Try it out" does not send the word "string" for what nobody typed.
DESCRIPTION_FIELDS: dict[str, Any] = {
    "title": {
        "type": "string",
        "maxLength": TITLE_CHARACTERS,
        "description": "A name for people.",
        "examples": [""],
    },
    "alt": {
        "type": "string",
        "examples": [""],
        "maxLength": ALT_CHARACTERS,
        "description": "A text that stands for the image, for people who cannot see it.",
    },
    "tags": {
        "type": "array",
        "examples": [[]],
        "maxItems": TAGS,
        "items": {"type": "string", "maxLength": TAG_CHARACTERS},
        "description": "Repeated, or separated by commas.",
    },
}
FILENAME = {"type": "string", "description": "For display, never used as a path."}
