"""Problems of API keys, hosts, origins and signatures."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import Conflict, Forbidden, Invalid, Malformed, NotFound, TooManyRequests, Unauthorized

ACCESS: ProblemTypes = {
    "key_missing": ProblemType(
        Unauthorized, "This request needs an API key. Send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`."
    ),
    "key_unknown": ProblemType(Unauthorized, "Unknown API key."),
    "key_expired": ProblemType(
        Unauthorized,
        "The API key has expired. Ask the operator for a new one.",
        {"expired_at": "2026-11-22T00:00:00Z"},
    ),
    "key_not_found": ProblemType(
        NotFound, "No API key of the store has this id: 20 hex digits, after `dk_` in a key. `GET /keys` lists the ids."
    ),
    "expired_key": ProblemType(
        Conflict,
        "The key has expired, and so would the new one. Create another key.",
        {"expired_at": "2026-11-22T00:00:00Z"},
    ),
    "too_many_secrets": ProblemType(
        Conflict,
        "The key has {measured} valid secrets already. Rotate it with `grace_seconds` 0, which ends them, or wait "
        "until one has ended.",
        {"measured": 5, "limit": 5},
    ),
    "bad_scopes": ProblemType(
        Invalid,
        "`scopes` must name at least one of upload, read, edit, delete, admin (found: 'write').",
        {"field": "scopes", "found": "write", "accepted": ["upload", "read", "edit", "delete", "admin"]},
    ),
    "bad_expiry": ProblemType(
        Invalid,
        "`expires_at` must be in the future and at most 3,660 days away, or absent for a key that does not expire "
        "(found: {found}).",
        {"field": "expires_at", "found": "2025-11-22T00:00:00+00:00", "latest": "2036-11-29T00:00:00+00:00"},
    ),
    "scope_missing": ProblemType(
        Forbidden, "The API key lacks the scope `upload`. Use a key that has it.", {"scope": "upload"}
    ),
    "rate_limited": ProblemType(
        TooManyRequests,
        "Too many requests from this {policy}. The limit is {rate:g} a second, and {limit:,} at once. Wait for the "
        "seconds in Retry-After, then send fewer at a time.",
        {"policy": "key", "limit": 100, "rate": 10},
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
}
