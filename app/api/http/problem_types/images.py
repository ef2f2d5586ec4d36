"""Problems of images and upload tickets."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import (
    Conflict,
    Forbidden,
    Gone,
    Malformed,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    StorageFull,
    TooManyRequests,
)

IMAGES: ProblemTypes = {
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
    "trashed": ProblemType(
        Conflict,
        "The image has been in the trash since 2026-11-25T10:02:49Z. Restore it first: POST /images/{{id}}/restore.",
        {"trashed_at": "2026-11-25T10:02:49Z"},
    ),
    "trash_full": ProblemType(
        StorageFull,
        "The disk is too full to move the image to the trash. Delete it permanently: add ?permanent=true.",
        {"free_bytes": 201326592, "min_free_bytes": 268435456},
    ),
    "version_mismatch": ProblemType(
        PreconditionFailed,
        "The image has changed: its version is 8. Get the record again and repeat the change.",
        {"version": 8},
    ),
    "bad_cursor": ProblemType(
        Malformed, "Invalid `cursor`. Send `next_cursor` of the previous page unchanged, with the same filters."
    ),
    # Requests with an Idempotency-Key
    "request_in_progress": ProblemType(
        Conflict, "A request with this Idempotency-Key is in progress. Repeat it in a moment."
    ),
    "source_changed": ProblemType(
        Conflict,
        "The url has other bytes than before. Send a new Idempotency-Key.",
    ),
    "idempotent_image_deleted": ProblemType(
        Gone, "The image of the request with this Idempotency-Key was deleted. To upload it again, send a new key."
    ),
    # Upload tickets
    "ticket_gone": ProblemType(
        Gone,
        "The upload ticket no longer waits for an image: the image was deleted, or the ticket has expired. Nothing was "
        "stored. Request a new ticket: POST /upload/direct.",
    ),
    "grant_mismatch": ProblemType(
        Forbidden,
        "The ticket is for 1,378,236 bytes (found in Content-Length: '1000'). Send the announced file, or request "
        "another ticket.",
        {"expected_bytes": 1378236, "declared": "1000"},
    ),
    "bad_digest": ProblemType(
        Malformed,
        "The SHA-256 of the bytes is not that of the ticket. Send the announced file, or request another ticket.",
        {"sha256": "4eca3eb96ee3e63d9b116ebabbe3dfdb8b77906d28a07d6fe9caaab7f2a2a510"},
    ),
    "upload_in_progress": ProblemType(
        Conflict, "Another upload with this ticket is in progress. Wait until it has ended, then try again."
    ),
    "already_there": ProblemType(
        PreconditionFailed,
        "The upload ticket has been used: its image is stored, and nothing has to be sent again. Get its record: "
        "GET /images/{image_id}.",
        {"image_id": "01a21211-8a9b-7bc8-801b-cadcca2023b7"},
    ),
    "too_many_tickets": ProblemType(
        TooManyRequests,
        "1,000 upload tickets of this owner are open, which is the limit. Send their images, delete unused tickets "
        "(DELETE /images/{{id}}), or wait: an unused ticket is removed after 24 hours.",
        {"limit": 1000},
    ),
}
