"""Request bodies for the OpenAPI document."""

from collections.abc import Sequence
from typing import Any

from app.api.bodies.field_schemas import DESCRIPTION_FIELDS, FILENAME, FORM_FIELDS
from app.domain.delivery.targets import URL_CHARACTERS

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_RAW = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": "The image itself. `filename`, `title` and the other fields are query parameters.",
    }
}

FORM: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary", "description": "The image."},
                **FORM_FIELDS,
            },
        },
        "encoding": {"tags": {"style": "form", "explode": True}},
    }
}
JSON: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "oneOf": [{"required": ["image_base64"]}, {"required": ["url"]}],
            "additionalProperties": False,
            "properties": {
                "filename": FILENAME,
                "content_type": {
                    "type": "string",
                    "description": "Stored for display only. The format is detected from the bytes.",
                },
                "image_base64": {
                    "type": "string",
                    "contentEncoding": "base64",
                    "description": "The image in base64: standard or URL-safe alphabet, optionally with line breaks "
                    "and a `data:…;base64,` prefix.",
                },
                "url": {
                    "type": "string",
                    "maxLength": URL_CHARACTERS,
                    "description": "Instead of `image_base64`: where to fetch the image, if `/limits` has "
                    "`url_uploads`. HTTPS, on a host of `DARKROOM_FETCH_HOSTS`.",
                },
                **DESCRIPTION_FIELDS,
            },
        },
        "example": {
            "filename": "pixel.png",
            "content_type": "image/png",
            "image_base64": _PIXEL,
            "title": "A pixel",
            "tags": ["small"],
        },
    }
}
RAW: dict[str, Any] = {"application/octet-stream": _RAW}
IMAGE: dict[str, Any] = {"image/*": _RAW}


def json_request(
    name: str, example: dict[str, Any], types: Sequence[str] = ("application/json",), *, required: bool = True
) -> dict[str, Any]:
    """Build the `requestBody` of an operation whose body has the component schema of this name."""
    content = {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}
    return {"requestBody": {"required": required, "content": dict.fromkeys(types, content)}}


def request_body(*bodies: dict[str, Any]) -> dict[str, Any]:
    """Build the `requestBody` of an upload."""
    content = {name: form for body in bodies for name, form in body.items()}
    return {"requestBody": {"required": True, "content": content}}
