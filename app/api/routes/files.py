"""Bytes of variants and originals, where objects are local files."""

import os
import re
import stat
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from app.api.dependencies import BasePathDep, ServicesDep
from app.api.http.access import ScopedRoute, allow_extra_query, no_key_required
from app.api.http.log_fields import add_log_fields
from app.api.http.problem_catalog import refusal
from app.api.http.problems import problem_response
from app.api.routes.variants import public_redirect_headers
from app.api.services import Services
from app.api.views.responses import not_modified, redirect
from app.domain.errors import RequestError
from app.domain.images.choice import current_variant
from app.domain.images.urls import shown_key
from app.domain.keys import is_public, original_id, processed_id
from app.domain.models import Format
from app.domain.uploads.filenames import attachment

router = APIRouter(include_in_schema=False, route_class=ScopedRoute)

#: Headers of every file.
FILE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
#: A public image can become private: caches must not keep its variants for longer than a day.
_PUBLIC = "public, max-age=86400"
_MEDIA_TYPES = {form.extension: form.media_type for form in Format}
_FILE = re.compile(
    r"processed/(?:public/)?[0-9a-f-]{36}/(?P<rendering>[0-9a-z-]{1,64})/"
    r"(?P<file>[a-z0-9][a-z0-9_-]*\.(?P<extension>[a-z]+))"
)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@router.api_route("/files/{key:path}", methods=["GET", "HEAD"])
@no_key_required
@allow_extra_query
def get_file(
    key: str,
    request: Request,
    services: ServicesDep,
    base_path: BasePathDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a variant, which never changes, or an original, as an attachment. All but public variants need a signed
    url. A missing variant of a public image redirects to the current one, and so does an unsigned url of 0.1.0, which
    signed none without API keys."""
    image_id = original_id(key) or processed_id(key)
    if image_id is None:
        raise _not_found()
    add_log_fields(request.scope, image_id=image_id)
    if not is_public(key) and "signature" not in request.query_params:
        moved = _find_current(services, key, base_path)
        if moved is not None:
            return moved
    left = None if is_public(key) else _seconds_left(request, services, key)
    headers, media_type, tag = _original_headers(services, key) if original_id(key) else _variant_headers(key, left)
    headers |= {**FILE_HEADERS, "ETag": tag}
    path = services.files(key) if services.files else None
    try:
        status = os.stat(path) if path else None  # noqa: PTH116 - `FileResponse` needs the result
    except OSError:
        status = None
    if path is None or status is None or not stat.S_ISREG(status.st_mode):
        moved = _find_current(services, key, base_path)
        if moved is None:
            raise _not_found()
        return moved
    if not_modified(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return RangedFile(path, headers=headers, media_type=media_type, stat_result=status)


def _seconds_left(request: Request, services: Services, key: str) -> int:
    """Return the seconds until the url expires. Raises `Forbidden` for invalid urls."""
    if services.local is None:
        raise _not_found()
    query = request.query_params
    return services.local.seal.check(key, query.get("expires", ""), query.get("signature", ""))


def _find_current(services: Services, key: str, base_path: str) -> Response | None:
    """Redirect from a missing variant to the one to show in its place, as long as the image is public."""
    found = _FILE.fullmatch(key)
    image = services.images.get_public(processed_id(key) or "") if found else None
    variant = current_variant(image, found["file"]) if image and found else None
    if image is None or variant is None or shown_key(image, variant) == key:
        return None
    headers = public_redirect_headers(services.urls.expires_at(image))
    return redirect(services.urls.variant(image, variant), base_path, headers)


def _variant_headers(key: str, left: int | None) -> tuple[dict[str, str], str, str]:
    found = _FILE.fullmatch(key)
    if found is None or found["extension"] not in _MEDIA_TYPES:
        raise _not_found()
    tag = f'"{found["rendering"]}.{found["file"]}"'
    cache = _PUBLIC if left is None else f"private, max-age={left}, immutable"
    return {"Cache-Control": cache}, _MEDIA_TYPES[found["extension"]], tag


def _original_headers(services: Services, key: str) -> tuple[dict[str, str], str, str]:
    # A signed url was issued for this image, so its owner need not be checked.
    image = services.images.original(None, original_id(key) or "")
    headers = {"Cache-Control": "private, no-cache", "Content-Disposition": attachment(image.filename)}
    return headers, image.content_type, f'"{image.id}"'


def _not_found() -> RequestError:
    return refusal("file_not_found")


class RangedFile(FileResponse):
    """Serve a file, or one range of it. Several ranges, or an invalid one, get the whole file."""

    # Up to two chunks are in memory for a client that does not read.
    chunk_size = 32 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        size = self.stat_result.st_size if self.stat_result else 0
        headers = Headers(scope=scope)
        asked, condition = headers.getlist("range"), headers.get("if-range")
        wanted = _RANGE.fullmatch(asked[0].strip()) if len(asked) == 1 else None
        # `FileResponse` gets a range only if it is valid.
        others = [(name, value) for name, value in scope["headers"] if name not in {b"range", b"if-range"}]
        if (
            wanted is None
            or not _is_valid(wanted)
            or (condition is not None and condition.strip() != self.headers["etag"])
        ):
            scope = {**scope, "headers": others}
        elif not _is_satisfiable(wanted, size):
            refused = refusal("range_not_satisfiable", bytes=size, headers={"Content-Range": f"bytes */{size}"})
            await problem_response(scope, refused)(scope, receive, send)
            return
        else:
            scope = {**scope, "headers": [*others, (b"range", wanted[0].encode())]}
        await self._respond(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The head is sent with the first bytes: the file may have been deleted since `stat`.
        held: list[Message] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            while held:
                await send(held.pop())
            await send(message)

        try:
            await super().__call__(scope, receive, sending)
        except FileNotFoundError:
            if not held:
                raise
            raise _not_found() from None


def _is_valid(wanted: re.Match[str]) -> bool:
    first, last = wanted.groups()
    return bool(first or last) and not (first and last and int(first) > int(last))


def _is_satisfiable(wanted: re.Match[str], size: int) -> bool:
    first, last = wanted.groups()
    return int(first) < size if first else int(last) > 0 and size > 0
