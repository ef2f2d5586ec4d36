"""The bytes themselves, where objects are files of this machine."""

import os
import re
import stat
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Message, Receive, Scope, Send

from app.api.dependencies import Handed, Parts
from app.api.http.access import KeyedRoute, link, open_to_all
from app.api.http.log_fields import note
from app.api.http.problems import problem
from app.api.views.responses import not_modified
from app.domain.errors import NotFound
from app.domain.keys import original_id, processed_id
from app.domain.models import ANONYMOUS, Format
from app.domain.uploads.filenames import attachment

router = APIRouter(include_in_schema=False, route_class=KeyedRoute)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_FOREVER = "public, max-age=31536000, immutable"
_MEDIA_TYPES = {form.extension: form.media_type for form in Format}
_FILE = re.compile(
    r"processed/[0-9a-f-]{36}/(?P<rendering>[0-9a-z-]{1,64})/(?P<file>[a-z0-9][a-z0-9_-]*\.(?P<ending>[a-z]+))"
)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@router.api_route("/files/{key:path}", methods=["GET", "HEAD"])
@open_to_all
@link
def get_file(
    key: str,
    request: Request,
    parts: Handed,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A variant, which never changes, or an original, which is saved rather than shown."""
    image_id = original_id(key) or processed_id(key)
    if image_id is not None:
        note(request.scope, image_id=image_id)
    left = _seconds_left(request, parts, key)
    headers, media_type, tag = _original(parts, key) if original_id(key) else _variant(key, left)
    headers |= {**_HEADERS, "ETag": tag}
    path = parts.files(key) if parts.files else None
    try:
        status = os.stat(path) if path else None  # noqa: PTH116 - the result is handed on, with its size
    except OSError:
        status = None
    if path is None or status is None or not stat.S_ISREG(status.st_mode):
        raise _absent()
    if not_modified(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return RangedFile(path, headers=headers, media_type=media_type, stat_result=status)


def _seconds_left(request: Request, parts: Parts, key: str) -> int | None:
    """For how long the url is good; None where urls are not signed. Raises `Forbidden` for one that is not."""
    seal = parts.local.seal if parts.local else None
    if seal is None:
        return None
    query = request.query_params
    return seal.check(key, query.get("expires", ""), query.get("signature", ""))


def _variant(key: str, left: int | None) -> tuple[dict[str, str], str, str]:
    found = _FILE.fullmatch(key)
    if found is None or processed_id(key) is None or found["ending"] not in _MEDIA_TYPES:
        raise _absent()
    tag = f'"{found["rendering"]}.{found["file"]}"'
    kept = _FOREVER if left is None else f"private, max-age={left}, immutable"
    return {"Cache-Control": kept}, _MEDIA_TYPES[found["ending"]], tag


def _original(parts: Parts, key: str) -> tuple[dict[str, str], str, str]:
    # Whoever has a signed url was given it.
    owner = None if parts.local and parts.local.seal else ANONYMOUS
    image = parts.images.original(owner, original_id(key) or "")
    headers = {"Cache-Control": "private, no-cache", "Content-Disposition": attachment(image.filename)}
    return headers, image.content_type, f'"{image.id}"'


def _absent() -> NotFound:
    return NotFound("file_not_found", "There is no such file.")


class RangedFile(FileResponse):
    """A file, or one range of it. Several ranges, or one that makes no sense, are answered with the whole file."""

    # A client that does not read holds two of them.
    chunk_size = 32 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `FileResponse`."""
        size = self.stat_result.st_size if self.stat_result else 0
        headers = Headers(scope=scope)
        asked, condition = headers.getlist("range"), headers.get("if-range")
        wanted = _RANGE.fullmatch(asked[0].strip()) if len(asked) == 1 else None
        # What was understood here is all that is left for the parent to read.
        others = [(name, value) for name, value in scope["headers"] if name not in {b"range", b"if-range"}]
        if (
            wanted is None
            or not _sensible(wanted)
            or (condition is not None and condition.strip() != self.headers["etag"])
        ):
            scope = {**scope, "headers": others}
        elif not _satisfiable(wanted, size):
            detail = f"The file has {size:,} bytes."
            answer = problem(
                scope, 416, "range_not_satisfiable", detail, {"bytes": size}, {"Content-Range": f"bytes */{size}"}
            )
            await answer(scope, receive, send)
            return
        else:
            scope = {**scope, "headers": [*others, (b"range", wanted[0].encode())]}
        await self._unless_gone(scope, receive, send)

    async def _unless_gone(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The start goes out with the first bytes: the file may have been deleted since it was looked at.
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
            raise _absent() from None


def _sensible(wanted: re.Match[str]) -> bool:
    first, last = wanted.groups()
    return bool(first or last) and not (first and last and int(first) > int(last))


def _satisfiable(wanted: re.Match[str], size: int) -> bool:
    first, last = wanted.groups()
    return int(first) < size if first else int(last) > 0 and size > 0
