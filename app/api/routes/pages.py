"""The page, Swagger UI and ReDoc, served from local files, without inline scripts."""

import importlib.util
import re
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from app.api.dependencies import ServicesDep
from app.api.http.access import ScopedRoute, allow_extra_query, no_key_required
from app.api.http.log_fields import add_log_fields
from app.api.http.public_address import absolute_url

router = APIRouter(include_in_schema=False, route_class=ScopedRoute)

_STATIC = Path(__file__).parents[1] / "static"

# Both pages set style attributes from scripts; ReDoc searches in a worker made from a blob.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _CSP, "Cache-Control": "no-cache"}


def _page(style: str, *body: str) -> str:
    """Build a page. Its urls are relative, so that it works below any path prefix."""
    lines = "\n".join(body)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Darkroom API</title>
<link rel="icon" href="static/favicon.png">
<link rel="stylesheet" href="static/{style}">
</head>
<body>
{lines}
</body>
</html>
"""


_SWAGGER = _page(
    "swagger-ui.css",
    '<div id="swagger-ui"></div>',
    '<script src="static/swagger-ui-bundle.js"></script>',
    '<script src="static/docs.js"></script>',
)
_REDOC = _page(
    "redoc.css",
    '<redoc spec-url="openapi.json"></redoc>',
    '<script src="static/redoc.js"></script>',
    '<script src="static/redoc.standalone.js"></script>',
)


@router.get("/")
@no_key_required
@allow_extra_query
async def page(services: ServicesDep) -> Response:
    """Return the page. Its urls are relative, so that it works below any path prefix."""
    # The variants and the upload tickets of a bucket have addresses of their own.
    others = "" if services.local is not None else " https:"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:{others}; "
        f"connect-src 'self'{others}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return FileResponse(_STATIC / "page" / "index.html", headers=headers)


@router.get("/docs")
@no_key_required
@allow_extra_query
async def swagger() -> Response:
    """Return the page of Swagger UI."""
    return HTMLResponse(_SWAGGER, headers=_HEADERS)


@router.get("/redoc")
@no_key_required
@allow_extra_query
async def redoc() -> Response:
    """Return the page of ReDoc."""
    return HTMLResponse(_REDOC, headers=_HEADERS)


@router.get("/openapi.json")
@no_key_required
@allow_extra_query
async def openapi_document(request: Request) -> Response:
    """Return the OpenAPI document, with the address that the client used."""
    schema = request.app.openapi()
    return JSONResponse({**schema, "servers": [{"url": absolute_url(request.scope, "") or "/"}]})


#: Modules that pages of all sites may load, and the types of each. Browsers load modules of other sites by CORS only.
PUBLIC_MODULES = ("client", "darkroom-upload")
_PUBLIC_FILES = frozenset(f"{name}{suffix}" for name in PUBLIC_MODULES for suffix in (".js", ".d.ts"))
_PUBLIC_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}


#: Comment that fills its lines. The modules of the page have no strings that contain one.
_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)$", re.MULTILINE | re.DOTALL)


@lru_cache(maxsize=64)
def _without_comments(file: Path, _version: str) -> bytes:
    """Return a module or style without its comments, which are a tenth of its weight. Line numbers stay the same."""
    return _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), file.read_text("utf-8")).encode()


class StaticAssets(StaticFiles):
    """Files of this package, then those of `fastapi-offline`. Caches must revalidate them by ETag.

    Modules for other sites may be cached for an hour. The page's own are sent without comments.
    """

    def __init__(self) -> None:
        super().__init__(directory=_STATIC)
        # Found without importing its code, which is not used.
        package = importlib.util.find_spec("fastapi_offline")
        if package is None or package.origin is None:
            raise RuntimeError("fastapi-offline, which contains the files of Swagger UI, is not installed")
        self.all_directories.append(Path(package.origin).parent / "static")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ignore `Range`: Starlette answers invalid ranges with plain text."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file with its cache headers."""
        add_log_fields(scope, route="/static")
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            raise HTTPException(404 if error.status_code in {401, 404} else error.status_code) from None
        if isinstance(response, FileResponse) and path.startswith("page/") and path.endswith((".js", ".css")):
            body = _without_comments(Path(response.path), response.headers["etag"])
            kept = {name: response.headers[name] for name in ("Content-Type", "ETag", "Last-Modified")}
            response = Response(b"" if scope["method"] == "HEAD" else body, headers=kept)
            response.headers["Content-Length"] = str(len(body))
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Accept-Ranges"] = "none"
        if path in _PUBLIC_FILES:
            response.headers.update(_PUBLIC_HEADERS)
        if path.endswith(".ts") and response.status_code == 200:  # registered for MPEG streams
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
        return response
