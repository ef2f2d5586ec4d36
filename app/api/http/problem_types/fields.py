"""Problems of fields and parameters."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import Invalid, Malformed

FIELDS: ProblemTypes = {
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
        "Unknown field 'caption'. Accepted: bytes, content_type, sha256, filename, title, alt, tags.",
        {"found": ["caption"], "fields": ["bytes", "content_type", "sha256", "filename", "title", "alt", "tags"]},
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
    "bad_if_match": ProblemType(
        Malformed,
        'Malformed If-Match (found: {found!a}). Send `*`, or the `ETag` of the record with its quotes, such as "v7".',
        {"found": "v7"},
    ),
    "bad_idempotency_key": ProblemType(
        Malformed,
        "Malformed Idempotency-Key (found: {measured} characters). Send it once: 1 to {limit} visible ASCII "
        "characters, such as a UUID, quoted if there is a comma among them.",
        {"measured": 300, "limit": 255},
    ),
    "idempotency_key_reused": ProblemType(
        Invalid,
        "This Idempotency-Key was used for another request: its fields, its bytes or its route differ. Send a new key "
        "with a new request.",
    ),
    "bad_metadata_key": ProblemType(
        Invalid,
        "`metadata` has an invalid key (found: {found!a}). A key is 1 to 64 letters, digits, and characters of `_.:-`.",
        {"field": "metadata", "found": "my album"},
    ),
    "bad_visibility": ProblemType(
        Invalid,
        "`visibility` must be 'private' or 'public' (found: \"hidden\").",
        {"field": "visibility", "accepted": ["private", "public"]},
    ),
    "bad_owner": ProblemType(
        Invalid,
        "`owner` must be 1 to 128 letters, digits, and characters of `._@-`, and begin with a letter or a digit "
        "(found: {found!a}).",
        {"field": "owner", "found": "a b"},
    ),
    "confirm_mismatch": ProblemType(
        Invalid,
        "`confirm` must repeat the value of `owner`, to confirm that all of its images are deleted (found: {found!a}).",
        {"field": "confirm", "found": "bob", "expected": "ann"},
    ),
    "invalid_request": ProblemType(
        Invalid,
        "Invalid request: `query.limit` must be at least 1 (found: '0').",
        {
            "field": "query.limit",
            "found": "0",
            "minimum": 1,
            "errors": [
                {
                    "field": "query.limit",
                    "message": "must be at least 1",
                    "ge": 1,
                    "found": "0",
                },
            ],
        },
    ),
}
