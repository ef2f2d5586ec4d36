"""Problems of API keys, hosts, origins and signatures."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import Forbidden, Malformed, Unauthorized

ACCESS: ProblemTypes = {
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
}
