"""Swagger UI and ReDoc from our own files, without a script in the page."""

import importlib.util
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from app.api.dependencies import Base
from app.api.http.access import KeyedRoute, link, open_to_all
from app.api.http.log_fields import note
from app.api.http.public_address import absolute

router = APIRouter(include_in_schema=False, route_class=KeyedRoute)

# Both pages set style attributes from script; ReDoc searches in a worker made from a blob.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _CSP, "Cache-Control": "no-cache"}

# Addresses are relative, so that the pages work below any path prefix.
_SWAGGER = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Darkroom API</title>
<link rel="icon" href="static/favicon.png">
<link rel="stylesheet" href="static/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="static/swagger-ui-bundle.js"></script>
<script src="static/docs.js"></script>
</body>
</html>
"""

_REDOC = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Darkroom API</title>
<link rel="icon" href="static/favicon.png">
<link rel="stylesheet" href="static/redoc.css">
</head>
<body>
<redoc spec-url="openapi.json"></redoc>
<script src="static/redoc.js"></script>
<script src="static/redoc.standalone.js"></script>
</body>
</html>
"""


@router.get("/")
@open_to_all
@link
async def front(base: Base) -> Response:
    """Redirect to the API's description."""
    # Without a prefix that is known the url is relative: a proxy may have taken one away.
    return RedirectResponse(f"{base}/docs" if base else "docs", 302)


@router.get("/docs")
@open_to_all
@link
async def swagger() -> Response:
    """Swagger UI."""
    return HTMLResponse(_SWAGGER, headers=_HEADERS)


@router.get("/redoc")
@open_to_all
@link
async def redoc() -> Response:
    """ReDoc."""
    return HTMLResponse(_REDOC, headers=_HEADERS)


@router.get("/openapi.json")
@open_to_all
@link
async def description(request: Request) -> Response:
    """What both show, for the address under which the client sees the service."""
    schema = request.app.openapi()
    return JSONResponse({**schema, "servers": [{"url": absolute(request.scope, "") or "/"}]})


class OwnFiles(StaticFiles):
    """Our own files, then those of the pinned package. They are asked for again by ETag, never guessed fresh."""

    def __init__(self) -> None:
        super().__init__(directory=Path(__file__).parents[1] / "static")
        # Looked up without importing its code, which we do not use.
        package = importlib.util.find_spec("fastapi_offline")
        if package is None or package.origin is None:
            raise RuntimeError("the package fastapi-offline, which holds the files of Swagger UI, is not installed")
        self.all_directories.append(Path(package.origin).parent / "static")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Always the whole file: the parent answers a range that makes no sense with bare text."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with the headers of its kind."""
        note(scope, route="/static")
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            raise HTTPException(404 if error.status_code in {401, 404} else error.status_code) from None
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Accept-Ranges"] = "none"
        return response
