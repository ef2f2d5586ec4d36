"""Catalog of the API's problems: class or status, sentence and example of each code. Those of the domain are copies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.api.http.statuses import STATUS
from app.domain.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Malformed,
    NotAcceptable,
    NotFound,
    Overloaded,
    PreconditionFailed,
    RequestError,
    StorageFull,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    UnsupportedType,
)


@dataclass(frozen=True)
class ProblemType:
    """One code: its error class, or the status of a problem that has no class, and the template of its sentence.

    `sample` are the members of an example; they fill in the template.
    """

    kind: type[RequestError] | int
    detail: str
    sample: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Status code of the response."""
        return self.kind if isinstance(self.kind, int) else STATUS[self.kind]


CATALOG: Mapping[str, ProblemType] = {
    # Bodies of uploads
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
        {"limit_bytes": 52428800, "declared_bytes": 60000000},
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
    # Fields
    "missing_file": ProblemType(
        Invalid,
        "The form has no file. Send the image as a file in the field `file`. Unknown fields: `photo`.",
        {"field": "file", "ignored_fields": ["photo"]},
    ),
    "missing_field": ProblemType(
        Invalid, "`image_base64` is required: the image as a base64 string.", {"field": "image_base64"}
    ),
    "unknown_field": ProblemType(
        Invalid,
        "Unknown field 'caption'. Accepted: filename, content_type, image_base64, title, alt, tags.",
        {"fields": ["filename", "content_type", "image_base64", "title", "alt", "tags"]},
    ),
    "bad_base64": ProblemType(
        Invalid, "`image_base64` is not base64: there is text after the padding.", {"field": "image_base64"}
    ),
    "wrong_type": ProblemType(Invalid, "`title` must be a string (found: 5).", {"field": "title"}),
    "out_of_range": ProblemType(Invalid, "`bytes` must be at least 1 (found: 0).", {"field": "bytes", "minimum": 1}),
    "bad_sha256": ProblemType(
        Invalid, "`{field}` must be 64 hexadecimal digits (found: {found!a}).", {"field": "sha256", "found": "4eca"}
    ),
    "control_character": ProblemType(
        Invalid, "`title` contains a control character or an unpaired surrogate. Remove it.", {"field": "title"}
    ),
    "too_long": ProblemType(
        Invalid, "`title` has 300 characters. The limit is 200.", {"field": "title", "measured": 300, "limit": 200}
    ),
    "invalid_request": ProblemType(
        Invalid,
        "Invalid request: `query.limit`: Input should be greater than or equal to 1 (found: '0').",
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
    # Access
    "key_missing": ProblemType(
        Unauthorized, "This request needs an API key. Send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`."
    ),
    "key_unknown": ProblemType(Unauthorized, "Unknown API key."),
    "scope_missing": ProblemType(
        Forbidden, "The API key lacks the scope `upload`. Use a key that has it.", {"scope": "upload"}
    ),
    "foreign_host": ProblemType(
        Forbidden,
        "{header} {found!a} is not a host of this service. Use an IP address or localhost, add the name to "
        "DARKROOM_ALLOWED_HOSTS, or set DARKROOM_PUBLIC_URL.",
        {"header": "Host", "found": "nas.local:8000"},
    ),
    "foreign_origin": ProblemType(
        Forbidden,
        "Cross-site request refused (Origin {found!a}). Add the page's origin to DARKROOM_CORS_ORIGINS.",
        {"found": "https://www.example.org"},
    ),
    "cors_refused": ProblemType(
        Malformed,
        "Preflight refused: the origin 'https://www.example.org' is not listed. Add it to DARKROOM_CORS_ORIGINS (on "
        "AWS: AllowedOrigins).",
        {"found": {"origin": "https://www.example.org"}},
    ),
    "bad_signature": ProblemType(Forbidden, "Invalid signature of the url. Get a new url from the image's record."),
    "url_expired": ProblemType(Forbidden, "The url has expired. Get a new url from the image's record."),
    # Images
    "image_not_found": ProblemType(NotFound, "There is no image with this id."),
    "variant_not_found": ProblemType(NotFound, "The image has no variant 'w9'.", {"variants": ["thumb", "w320"]}),
    "format_not_found": ProblemType(
        NotFound,
        "The variant {variant!a} is not available in this format. See `formats`.",
        {"variant": "w320", "formats": ["webp"]},
    ),
    "not_acceptable": ProblemType(
        NotAcceptable, "The Accept header matches none of the variant's formats. See `formats`.", {"formats": ["webp"]}
    ),
    "file_not_found": ProblemType(NotFound, "There is no such file."),
    "range_not_satisfiable": ProblemType(
        416, "The range starts after the end of the file. The file has {bytes:,} bytes.", {"bytes": 3252}
    ),
    "not_ready": ProblemType(Conflict, "The image is pending.", {"status_of_image": "pending"}),
    "not_served": ProblemType(Conflict, "The original is not served: Unsupported image format (found: PDF)."),
    "busy": ProblemType(Conflict, "The image is changing. Try again."),
    "bad_cursor": ProblemType(
        Malformed, "Invalid `cursor`. Send `next_cursor` of the previous page unchanged, with the same filters."
    ),
    # Upload tickets
    "ticket_gone": ProblemType(
        Gone,
        "The upload ticket no longer waits for an image: the image was deleted, or the ticket has expired. Nothing was "
        "stored. Request a new ticket: POST /upload/direct.",
    ),
    "grant_mismatch": ProblemType(
        Forbidden, "The ticket is for 1,378,236 bytes.", {"expected_bytes": 1378236, "declared": "1000"}
    ),
    "bad_digest": ProblemType(
        Malformed,
        "The bytes are not those that the ticket was asked for.",
        {"sha256": "4eca3eb96ee3e63d9b116ebabbe3dfdb8b77906d28a07d6fe9caaab7f2a2a510"},
    ),
    "upload_in_progress": ProblemType(
        Conflict, "Another upload with this ticket is in progress. Wait until it has ended, then try again."
    ),
    "already_there": ProblemType(PreconditionFailed, "The upload ticket has been used: its image is stored."),
    "too_many_tickets": ProblemType(
        TooManyRequests,
        "1,000 upload tickets of this owner are open, which is the limit. Send their images, delete unused tickets "
        "(DELETE /images/{{id}}), or wait: an unused ticket is removed after 24 hours.",
        {"limit": 1000},
    ),
    # The service
    "no_such_path": ProblemType(404, "There is nothing at this path. `/docs` lists the paths."),
    "method_not_allowed": ProblemType(
        405,
        "The method {found!a} is not allowed at this path. Allowed: {allowed}.",
        {"found": "POST", "allowed": "GET, HEAD, OPTIONS"},
    ),
    "request_timeout": ProblemType(408, "No data received for 30 seconds."),
    "unavailable": ProblemType(503, "The service is temporarily unavailable. Try again in a moment."),
    "out_of_time": ProblemType(503, "The request was not finished in time. Try again in a moment."),
    "too_many_uploads": ProblemType(
        Overloaded,
        "Uploads in progress use all of the space of {limit_bytes:,} bytes. Try again in a moment.",
        {"limit_bytes": 1073741824},
    ),
    "storage_full": ProblemType(
        StorageFull,
        "The disk has {free_bytes:,} bytes free; {min_free_bytes:,} are reserved for deletes. Delete images, then try "
        "again.",
        {"free_bytes": 201326592, "min_free_bytes": 268435456},
    ),
    "not_reachable": ProblemType(503, "Not reachable: storage.", {"failed": ["storage"], "full": []}),
    "disk_full": ProblemType(
        503,
        "No space left: storage. Uploads are refused; reading and deleting work.",
        {"failed": ["storage"], "full": ["storage"]},
    ),
    "internal_error": ProblemType(500, "Internal error. The service's log has the details under the request id."),
    "unknown_event": ProblemType(400, "The function was called with an event that is no HTTP request."),
    # The self-hosted server
    "bad_request_head": ProblemType(
        400, "Malformed header field (found: Title My photo). Send `Name: value`.", {"found": "Title My photo"}
    ),
    "bad_chunk": ProblemType(
        400,
        "Malformed chunk (found: {found}). A chunk is its size in hexadecimal, CRLF, its data, CRLF.",
        {"found": "zz\\r\\n"},
    ),
    "head_too_large": ProblemType(
        431,
        "The request head is larger than {limit_bytes:,} bytes. Send fewer or shorter header fields.",
        {"limit_bytes": 32768},
    ),
    "unsupported_transfer_encoding": ProblemType(
        501, "Transfer-Encoding must be `chunked`, once. Send the body with Content-Length or chunked."
    ),
    "unsupported_http_version": ProblemType(505, "HTTP/{found} is not supported. Send HTTP/1.1.", {"found": "2.0"}),
    "overloaded": ProblemType(Overloaded, "Too many requests are in progress. Try again in a moment."),
}


def refusal(code: str, detail: str | None = None, **members: Any) -> RequestError:
    """Build the error of a code. `members` fill in the sentence, unless `detail` is given, and go into the document.

    `headers` and `retry_after` are those of `RequestError` and its subclasses.
    """
    problem = CATALOG[code]
    kind = RequestError if isinstance(problem.kind, int) else problem.kind
    return kind(code, problem.detail.format(**members) if detail is None else detail, **members)
