"""Every error of the API with an example, for its description."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from app.api.http.charsets import ACCEPTED
from app.api.http.problems import MEDIA_TYPE, PHRASES, document

Responses = dict[int | str, dict[str, Any]]


@dataclass(frozen=True)
class Example:
    """What one kind of problem looks like."""

    status: int
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)


EXAMPLES: Mapping[str, Example] = {
    "empty_body": Example(400, "The body is empty."),
    "empty_file": Example(400, "The file is empty.", {"field": "file"}),
    "bad_multipart": Example(400, "Malformed multipart body."),
    "bad_boundary": Example(400, "The Content-Type names no boundary of 1 to 70 characters."),
    "unterminated": Example(400, "The body ends before its closing boundary."),
    "two_files": Example(400, "The form has two files. Send one image at a time.", {"field": "file"}),
    "duplicate_field": Example(400, "The field 'title' is there twice."),
    "bad_json": Example(400, "The body is not JSON: expected value at line 1 column 17."),
    "too_deep": Example(400, "The JSON is nested more than 32 deep.", {"limit": 32, "measured": 33}),
    "not_utf8": Example(400, "The field `title` is not UTF-8.", {"field": "title"}),
    "bad_charset": Example(
        400, "The field `title` is not text in its charset, utf-16.", {"field": "title", "charset": "utf-16"}
    ),
    "too_many_fields": Example(400, "The form has more than 100 parts.", {"limit": 100, "measured": 101}),
    "incomplete_body": Example(
        400, "The connection was closed before the body of 1378236 bytes was complete. Send the request again."
    ),
    "bad_length": Example(400, "The Content-Length is not a number of bytes."),
    "bad_cursor": Example(
        400, "The cursor is not one of this list: use `next_cursor` as given, with the same filters."
    ),
    "key_missing": Example(401, "This needs an API key: `Authorization: Bearer <key>` or `X-API-Key`."),
    "key_unknown": Example(401, "The API key is not known."),
    "scope_missing": Example(403, "The key lacks the scope `upload`.", {"scope": "upload"}),
    "foreign_host": Example(
        403,
        "Host 'nas.local:8000' is not a host of this service. Use an IP address or localhost, or add the name to "
        "DARKROOM_ALLOWED_HOSTS or set DARKROOM_PUBLIC_URL.",
        {"header": "Host", "found": "nas.local:8000"},
    ),
    "foreign_origin": Example(
        403,
        "Cross-site request refused (Origin 'https://www.example.org'). Add the page's origin to "
        "DARKROOM_CORS_ORIGINS.",
        {"found": "https://www.example.org"},
    ),
    "image_not_found": Example(404, "There is no image with this id."),
    "variant_not_found": Example(404, "The image has no variant 'w9'.", {"variants": ["thumb", "w320"]}),
    "format_not_found": Example(404, "The variant 'w320' has no such format.", {"formats": ["webp"]}),
    "request_timeout": Example(408, "No data received for 30 seconds."),
    "not_acceptable": Example(406, "None of the formats is acceptable.", {"formats": ["webp"]}),
    "not_ready": Example(409, "The image is pending.", {"status_of_image": "pending"}),
    "not_served": Example(409, "The original is not served: Unsupported image format (found: PDF)."),
    "busy": Example(409, "The image keeps changing; try again."),
    "too_large": Example(
        413,
        "The picture is larger than 52,428,800 bytes.",
        {"limit_bytes": 52428800, "declared_bytes": 60000000},
    ),
    "body_too_large": Example(
        413, "The body is larger than 54,525,952 bytes.", {"limit_bytes": 54525952, "received_bytes": 54591488}
    ),
    "fields_too_large": Example(
        413,
        "The fields beside the picture are larger than 65,536 bytes.",
        {"limit_bytes": 65536, "received_bytes": 65537},
    ),
    "damaged_by_gateway": Example(
        415,
        "The gateway has made text of a binary body. Set its binary media types to */* (BinaryMediaTypes), "
        "or use an HTTP API, which needs no such setting.",
        {"setting": "BinaryMediaTypes", "value": ["*/*"]},
    ),
    "unsupported_type": Example(
        415,
        "Unsupported image format (found: SVG). Accepted: JPEG, PNG, WebP.",
        {"found": "image/svg+xml", "accepted": ["image/jpeg", "image/png", "image/webp"]},
    ),
    "unsupported_body": Example(
        415,
        "Unsupported body. Send a multipart form, JSON, or the image itself with its type, such as "
        "`Content-Type: image/jpeg`.",
        {
            "found": "text/plain",
            "accepted": ["multipart/form-data", "application/json", "image/*", "application/octet-stream"],
        },
    ),
    "unsupported_encoding": Example(
        415,
        "The body is compressed. Send the image as it is, without a Content-Encoding.",
        {"found": "gzip", "accepted": ["identity"]},
    ),
    "unsupported_charset": Example(
        415,
        "The charset 'shift_jis' of the field `title` is not accepted. Send UTF-8.",
        {"field": "title", "found": "shift_jis", "accepted": ACCEPTED},
    ),
    "missing_file": Example(
        422,
        "There is no file. Send the image as a file in the field `file`. Fields that are not known: `photo`.",
        {"field": "file", "ignored_fields": ["photo"]},
    ),
    "missing_field": Example(
        422, "`image_base64` is required: the image as a base64 string.", {"field": "image_base64"}
    ),
    "control_character": Example(
        422, "`title` holds a control character or half a surrogate pair.", {"field": "title"}
    ),
    "unknown_field": Example(422, "There is no field 'colour'.", {"fields": ["filename", "content_type"]}),
    "bad_base64": Example(
        422, "`image_base64` is not base64. There is text after the padding.", {"field": "image_base64"}
    ),
    "wrong_type": Example(422, "`title` must be a string (found: 5).", {"field": "title"}),
    "out_of_range": Example(422, "`bytes` must be at least 1 (found: 0).", {"field": "bytes", "minimum": 1}),
    "bad_sha256": Example(
        422, '`sha256` must be 64 hexadecimal digits (found: "4eca").', {"field": "sha256", "found": "4eca"}
    ),
    "too_long": Example(
        422, "`title` has 300 characters; 200 can be kept.", {"field": "title", "measured": 300, "limit": 200}
    ),
    "invalid_request": Example(
        422,
        "Not valid: `query.limit`: Input should be greater than or equal to 1 (found: '0').",
        {
            "errors": [
                {
                    "field": "query.limit",
                    "message": "Input should be greater than or equal to 1",
                    "ge": 1,
                    "found": "0",
                },
            ]
        },
    ),
    "too_many_tickets": Example(
        429,
        "1,000 upload tickets of this owner are open, which is the limit. Send their images, delete unused tickets "
        "(DELETE /images/{id}), or wait: an unused ticket is removed after 24 hours.",
        {"limit": 1000},
    ),
    "unavailable": Example(503, "The service cannot do this right now. Try again in a moment."),
    "out_of_time": Example(503, "The service did not get done in time. Try again in a moment."),
    "too_many_uploads": Example(
        503,
        "Too many bytes of uploads are being received at once. Try again in a moment.",
        {"limit_bytes": 1073741824},
    ),
    "storage_full": Example(
        507,
        "The disk has 201,326,592 bytes free, and 268,435,456 are kept for deletes. Delete images, then try again.",
        {"free_bytes": 201326592, "min_free_bytes": 268435456},
    ),
    "not_reachable": Example(503, "The storage cannot be reached.", {"failed": ["storage"], "full": []}),
    "disk_full": Example(
        503,
        "The storage is full. Uploads are refused; reading and deleting work.",
        {"failed": ["storage"], "full": ["storage"]},
    ),
    "bad_request_head": Example(
        400,
        "Malformed header field (found: Title My photo). Send `Name: value`.",
        {"found": "Title My photo"},
    ),
    "bad_chunk": Example(
        400,
        "Malformed chunk (found: zz\\r\\n). A chunk is its size in hexadecimal, CRLF, its data, CRLF.",
        {"found": "zz\\r\\n"},
    ),
    "head_too_large": Example(
        431,
        "The request head is larger than 32,768 bytes. Send fewer or shorter header fields.",
        {"limit_bytes": 32768},
    ),
    "unsupported_transfer_encoding": Example(
        501, "Transfer-Encoding must be `chunked`, once. Send the body with Content-Length or chunked."
    ),
    "unsupported_http_version": Example(505, "HTTP/2.0 is not supported. Send HTTP/1.1.", {"found": "2.0"}),
    "overloaded": Example(503, "Too many requests are in progress. Try again in a moment."),
    "internal_error": Example(500, "Something went wrong here; the request id names it in the log."),
}


#: Refusals of the self-hosted server, whatever the path.
_OF_THE_SERVER = (
    "bad_request_head", "bad_chunk", "head_too_large", "unsupported_transfer_encoding", "unsupported_http_version",
)  # fmt: skip


def shaped(model: type[BaseModel], description: str | None = None) -> dict[str, Any]:
    """An answer that is a model, by reference: FastAPI would build what checks and writes each at the start, and our
    answers are models already. `openapi.MODELS` says what is referred to."""
    told = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}}
    return told | ({"description": description} if description else {})


def problems(*codes: str) -> Responses:
    """Build the error responses of a route: by status, with an example for each code, and those of every route."""
    responses: Responses = {}
    for code in (*codes, "unavailable", "out_of_time", "overloaded"):
        _add(responses, EXAMPLES[code].status, code)
    for code in ("internal_error", *_OF_THE_SERVER):
        _add(responses, "default", code)
    return responses


def _add(responses: Responses, key: int | str, code: str) -> None:
    example = EXAMPLES[code]
    description = "Any other problem" if key == "default" else PHRASES[example.status]
    response = responses.setdefault(key, {"description": description, "content": {MEDIA_TYPE: {"examples": {}}}})
    content = response["content"][MEDIA_TYPE]
    content["schema"] = {"$ref": "#/components/schemas/Problem"}
    value = document(example.status, code, example.detail, "4f9c2a7be1d84c0f", example.extra)
    content["examples"][code] = {"summary": example.detail, "value": value}
