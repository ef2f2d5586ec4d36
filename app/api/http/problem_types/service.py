"""Problems of the service and of the self-hosted server."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import Overloaded, StorageFull

SERVICE: ProblemTypes = {
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
    "too_many_fetches": ProblemType(
        Overloaded, "{limit} images are being fetched from urls already. Try again in a moment.", {"limit": 16}
    ),
    "storage_full": ProblemType(
        StorageFull,
        "The disk has {free_bytes:,} bytes free; {min_free_bytes:,} are reserved for deletes. Delete images "
        "permanently, then try again.",
        {"free_bytes": 201326592, "min_free_bytes": 268435456},
    ),
    "quota_exceeded": ProblemType(
        StorageFull,
        "The image has {image_bytes:,} bytes. The owner uses {used_bytes:,} bytes. The quota is {limit_bytes:,}. "
        "Delete images permanently, also those in the trash, then try again.",
        {"used_bytes": 1073000000, "limit_bytes": 1073741824, "image_bytes": 1378236},
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
