"""JSON schemas of the fields that uploads and upload tickets share."""

from typing import Any

from app.domain.uploads.descriptions import ALT_CHARACTERS, TAG_CHARACTERS, TAGS, TITLE_CHARACTERS

# Empty examples, because "Try it out" would send the text "string" for fields that are not filled in.
DESCRIPTION_FIELDS: dict[str, Any] = {
    "title": {
        "type": "string",
        "maxLength": TITLE_CHARACTERS,
        "description": "Title of the image.",
        "examples": [""],
    },
    "alt": {
        "type": "string",
        "examples": [""],
        "maxLength": ALT_CHARACTERS,
        "description": "Alternative text, for people who cannot see the image.",
    },
    "tags": {
        "type": "array",
        "examples": [[]],
        "maxItems": TAGS,
        "items": {"type": "string", "maxLength": TAG_CHARACTERS},
        "description": "Tags, repeated or separated by commas.",
    },
}
FILENAME = {"type": "string", "description": "File name, for display only."}
