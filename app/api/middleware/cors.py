"""CORS for the pages of listed origins."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http.problems import problem

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: Headers that a page may read. A `*` would do for browsers, but not for the libraries that look for a name.
_EXPOSED = (
    "Accept-Ranges", "Allow", "Content-Disposition", "Content-Length", "Content-Range", "ETag", "Idempotency-Replayed",
    "Last-Modified", "Link", "Location", "Preference-Applied", "Retry-After", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
_SHOWN = 100


class Cors(CORSMiddleware):
    """Let the pages of these origins call, with any request header: the origin is the protection.

    Upload widgets, HTTP clients and tracing add headers of their own to every request, such as `X-Requested-With` and
    `traceparent`. A refused preflight is a problem document.
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
        """Return True for a listed origin. Settings keep them in the form that browsers use."""
        return super().is_allowed_origin(origin.lower())

    def preflight_response(self, request_headers: Headers) -> Response:
        """See `CORSMiddleware`."""
        answer = super().preflight_response(request_headers)
        return answer if answer.status_code < 400 else _Refused(request_headers, answer.headers, self)


class _Refused(Response):
    """The answer to a preflight that asks for more than is allowed."""

    def __init__(self, asked: Headers, answered: MutableHeaders, rules: Cors) -> None:
        super().__init__(status_code=400)
        origin, method = asked["origin"][:_SHOWN], asked["access-control-request-method"][:_SHOWN]
        self._found: dict[str, str]
        if rules.is_allowed_origin(asked["origin"]):
            self._found = {"method": method}
            self._detail = f"Preflight refused: the method {method!a} is not one of {', '.join(_METHODS)}."
            self._kept = {
                name: value for name, value in answered.items() if name.startswith(("vary", "access-control-"))
            }
        else:
            self._found = {"origin": origin}
            self._detail = (
                f"Preflight refused: the origin {origin!a} is not listed. Add it to DARKROOM_CORS_ORIGINS (on AWS: "
                "AllowedOrigins)."
            )
            self._kept = {"Vary": answered["Vary"]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(scope, 400, "cors_refused", self._detail, {"found": self._found}, self._kept)
        await answer(scope, receive, send)
