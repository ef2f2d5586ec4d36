"""CORS for the pages of listed origins."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http.problem_catalog import refusal
from app.api.http.problems import problem_response

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: Response headers that a page may read. Browsers accept `*`, but some libraries look for the names.
_EXPOSED = (
    "Accept-Ranges", "Allow", "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Idempotency-Replayed",
    "Last-Modified", "Link", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After",
    "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
_SHOWN = 100


class Cors(CORSMiddleware):
    """CORS for the listed origins, with problem documents for refused preflights.

    All request headers are allowed: upload widgets, HTTP clients and tracing add their own, such as `X-Requested-With`
    and `traceparent`.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=["*"],
            allow_private_network=True,
            expose_headers=_EXPOSED,
            max_age=600,
        )

    def is_allowed_origin(self, origin: str) -> bool:
        """Return True for a listed origin. The settings hold them in lower case, as browsers send them."""
        return super().is_allowed_origin(origin.lower())

    def preflight_response(self, request_headers: Headers) -> Response:
        """See `CORSMiddleware`."""
        response = super().preflight_response(request_headers)
        return response if response.status_code < 400 else _RefusedPreflight(request_headers, response.headers, self)


class _RefusedPreflight(Response):
    """Response to a preflight that asks for more than is allowed."""

    def __init__(self, asked: Headers, allowed: MutableHeaders, rules: Cors) -> None:
        super().__init__(status_code=400)
        origin, method = asked["origin"][:_SHOWN], asked["access-control-request-method"][:_SHOWN]
        self._found: dict[str, str]
        if rules.is_allowed_origin(asked["origin"]):
            self._found = {"method": method}
            self._detail = f"Preflight refused: the method {method!a} is not one of {', '.join(_METHODS)}."
            self._kept = {
                name: value for name, value in allowed.items() if name.startswith(("vary", "access-control-"))
            }
        else:
            self._found = {"origin": origin}
            self._detail = (
                f"Preflight refused: the origin {origin!a} is not listed. Add it to DARKROOM_CORS_ORIGINS (on AWS: "
                "AllowedOrigins)."
            )
            self._kept = {"Vary": allowed["Vary"]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = refusal("cors_refused", self._detail, headers=self._kept, found=self._found)
        await problem_response(scope, refused)(scope, receive, send)
