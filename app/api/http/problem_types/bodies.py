"""Problems of request bodies."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import Invalid, Malformed, TooLarge, UnsupportedType

BODIES: ProblemTypes = {
    "empty_body": ProblemType(Malformed, "The request body is empty."),
    "empty_file": ProblemType(Malformed, "The file in the field `{field}` is empty.", {"field": "file"}),
    "bad_multipart": ProblemType(Malformed, "Malformed multipart body."),
    "bad_boundary": ProblemType(
        Malformed, "The Content-Type has no boundary of 1 to 70 characters. Let the HTTP client set the header."
    ),
    "unterminated": ProblemType(Malformed, "The body ends before its closing boundary. Send it again."),
    "two_files": ProblemType(Malformed, "The form has two files. Send one image per request.", {"field": "file"}),
    "duplicate_field": ProblemType(Malformed, "Duplicate field {field!a}. Send it once.", {"field": "title"}),
    "bad_json": ProblemType(Malformed, "The body is not JSON: expected value at line 1 column 17."),
    "too_deep": ProblemType(
        Malformed, "The JSON is nested more than {limit} levels deep.", {"limit": 32, "measured": 33}
    ),
    "not_utf8": ProblemType(
        Malformed, "The field `{field}` is not UTF-8. Send UTF-8, or declare the charset.", {"field": "title"}
    ),
    "bad_charset": ProblemType(
        Malformed,
        "The field `{field}` is not valid in its declared charset, {charset}.",
        {"field": "title", "charset": "utf-16"},
    ),
    "too_many_fields": ProblemType(Malformed, "The form has more than {limit} parts.", {"limit": 100, "measured": 101}),
    "incomplete_body": ProblemType(
        Malformed, "The connection was closed before the body of 1378236 bytes was complete. Send the request again."
    ),
    "bad_length": ProblemType(
        Malformed, "The Content-Length is not a number of bytes (found: {found!a}).", {"found": "1e6"}
    ),
    "too_large": ProblemType(
        TooLarge,
        "The image is larger than {limit_bytes:,} bytes.",
        {"limit_bytes": 52428800, "received_bytes": 52494336},
    ),
    "body_too_large": ProblemType(
        TooLarge,
        "The body is larger than {limit_bytes:,} bytes.",
        {"limit_bytes": 54525952, "received_bytes": 54591488},
    ),
    "fields_too_large": ProblemType(
        TooLarge,
        "The body has more than {limit_bytes:,} bytes in addition to the image.",
        {"limit_bytes": 65536, "received_bytes": 65537},
    ),
    "unsupported_type": ProblemType(
        UnsupportedType,
        "Unsupported image format (found: SVG). Accepted: JPEG, PNG, WebP.",
        {"found": "image/svg+xml", "accepted": ["image/jpeg", "image/png", "image/webp"]},
    ),
    "fetch_disabled": ProblemType(
        Invalid,
        "Uploads from a url are off. Send the image, or ask the operator to set DARKROOM_FETCH_HOSTS.",
        {"field": "url"},
    ),
    "fetch_refused": ProblemType(
        Invalid, "`url` {why}.", {"field": "url", "reason": "scheme", "why": "must begin with https://"}
    ),
    "fetch_failed": ProblemType(
        Invalid,
        "The image at `url` could not be fetched: {why}.",
        {"field": "url", "reason": "status", "found": 404, "why": "the server answered 404"},
    ),
    "unsupported_body": ProblemType(
        UnsupportedType,
        "Unsupported body. Send a multipart form, JSON, or the image itself with its type, such as "
        "`Content-Type: image/jpeg`.",
        {
            "found": "text/plain",
            "accepted": ["multipart/form-data", "application/json", "image/*", "application/octet-stream"],
        },
    ),
    "unsupported_encoding": ProblemType(
        UnsupportedType,
        "Unsupported Content-Encoding (found: {found}). Send the image without compression.",
        {"found": "gzip", "accepted": ["identity"]},
    ),
    "unsupported_charset": ProblemType(
        UnsupportedType,
        "Unsupported charset of the field `{field}` (found: {found!a}). Send UTF-8.",
        {
            "field": "title",
            "found": "shift_jis",
            "accepted": ["utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"],
        },
    ),
    "damaged_by_gateway": ProblemType(
        UnsupportedType,
        "The gateway converted the binary body to text. Set its binary media types to */* (BinaryMediaTypes), or use "
        "an HTTP API, which needs no such setting.",
        {"setting": "BinaryMediaTypes", "value": ["*/*"]},
    ),
}
