"""Any size of an image, under a url to paste."""

import io
import os
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import get_services
from app.api.http.access import ScopedRoute, admit, allow_extra_query, answered_directly, requires_unless_public
from app.api.http.log_fields import add_log_fields, log_fields
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import problem_responses
from app.api.http.public_address import get_base_path
from app.api.middleware.headers import get_client_method
from app.api.routes.files import FILE_HEADERS, RangedFile
from app.api.routes.images import ImageId
from app.api.routes.variants import public_redirect_headers, redirect_to_variant
from app.api.services import Services
from app.api.size_requests import PARAMETERS, SizeRequest, read_size_request
from app.api.views.responses import not_modified, redirect
from app.api.waiting import wait_until_processed
from app.domain.access.api_keys import Scope
from app.domain.errors import Gone, Missing, NotFound, NotRenderable, RendererBusy, RequestError
from app.domain.images.service import check_not_trashed, check_ready
from app.domain.keys import size_key
from app.domain.media import SNIFF_BYTES
from app.domain.models import Format, Image, Status, Visibility
from app.domain.sizes.completeness import is_complete, size_type_of
from app.domain.sizes.offer import OnDemand
from app.domain.sizes.operation import Operation
from app.domain.sizes.placement import shown_size_key

router = APIRouter(tags=["images"], route_class=ScopedRoute)

#: Longest wait for a pending image, and the advice afterwards, in seconds.
_WAIT_SECONDS, _RETRY_SECONDS = 5, 2
#: Caches keep public sizes for an hour, or without asking for a day if the url names the rendering. A public image can
#: become private, so nothing lasts for longer.
_PUBLIC, _VERSIONED, _PRIVATE = "public, max-age=3600", "public, max-age=86400, immutable", "private, no-cache"
#: Seconds for which caches keep the answer that there is no image.
_ABSENT_SECONDS = 60
#: Files up to this size are read at once, in the thread that opens them.
_SMALL_BYTES = 1024 * 1024
_ATTEMPTS = 3

_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image in this size, where the server has the files",
        "headers": {"ETag": {"schema": {"type": "string"}}},
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "`If-None-Match` names the current bytes"},
    307: {
        "description": "Redirect to a variant, or to the stored size",
        "headers": {"Location": {"schema": {"type": "string", "format": "uri-reference"}}},
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    **_IMAGE,
    **problem_responses(
        "bad_size", "size_conflict", "image_not_found", "image_deleted", "variant_not_found", "format_not_found",
        "not_acceptable", "not_ready", "trashed", "busy", "not_renderable", "renderer_busy", "sizes_off",
        "size_not_offered", "size_not_signed", "bad_size_signature",
    ),
}  # fmt: skip
_OPTIONS: dict[str, Any] = {
    "response_class": Response,
    "responses": _RESPONSES,
    "openapi_extra": {"parameters": PARAMETERS},
}


async def answer_stored(request: Request) -> Response | None:
    """Answer with the stored size of a public image. Its record is not read: what makes an image private removes its
    public sizes."""
    services, scope = get_services(request), request.scope
    if services.files is None or services.sizes.mode is OnDemand.OFF:
        return None
    image_id = request.path_params["image_id"]
    try:
        asked = read_size_request(scope)
        if asked.variant or not (asked.query.has_size or asked.signature):
            return None
        operation = services.sizes.resolve(image_id, asked.query, _format(services, asked), asked.signature)
    except RequestError:
        return None
    if operation is None:
        return None
    try:
        path = services.files(size_key(image_id, operation.name, public=True))
    except ValueError:  # no id
        return None
    response = await run_in_threadpool(_file_response, request, path, asked, public=True)
    if response is not None:
        add_log_fields(scope, size="hit")
    return response


@router.get("/i/{image_id}", operation_id="get_size", summary="Show an image in any size", **_OPTIONS)
@requires_unless_public(Scope.READ)
@allow_extra_query
@answered_directly(answer_stored)
async def get_size(request: Request, image_id: ImageId) -> Response:
    """Show the image in the size that the query asks for. The url lasts.

    Without a size it is the largest variant; with `size`, the variant of that name. Other sizes are rendered when they
    are asked for first. Unless they are signed, they snap to the next of the widths, qualities and aspect ratios that
    the installation offers. Nothing is enlarged. Unknown parameters are ignored.
    """
    services = get_services(request)
    asked = read_size_request(request.scope)
    image = await _find(request, services, image_id)
    if asked.variant is not None:
        return redirect_to_variant(request, services, image, asked.variant, asked.extension, asked.accept)
    is_plain = not asked.query.has_size and asked.signature is None
    if is_plain and (asked.extension is None or _has_format(image, asked) or services.sizes.mode is OnDemand.OFF):
        return redirect_to_variant(request, services, image, None, asked.extension, asked.accept)
    return await _render(request, services, image, asked)


@router.get(
    "/i/{image_id}/{slug}", operation_id="get_named_size", summary="Show an image under a name of your own", **_OPTIONS
)
@requires_unless_public(Scope.READ)
@allow_extra_query
@answered_directly(answer_stored)
async def get_named_size(
    request: Request,
    image_id: ImageId,
    slug: Annotated[  # noqa: ARG001 - `read_size_request` reads it
        str, Path(description="Any text, for people. Its extension picks the format, such as `.jpg` or `.webp`.")
    ],
) -> Response:
    """Show the image like `/i/{image_id}`."""
    return await get_size(request, image_id)


@router.get("/i/{image_id}/{slug:path}", include_in_schema=False)
@requires_unless_public(Scope.READ)
@allow_extra_query
@answered_directly(answer_stored)
async def get_named_size_with_slashes(request: Request, image_id: ImageId, slug: str) -> Response:  # noqa: ARG001 - see above
    """Show the image like `/i/{image_id}`."""
    return await get_size(request, image_id)


async def _find(request: Request, services: Services, image_id: str) -> Image:
    """Return the image if it can be shown, after a wait if it is pending. Raises `RequestError`."""
    read = partial(services.images.get_pasted, image_id, lambda: admit(request, Scope.READ).visible_owner)
    try:
        image = await run_in_threadpool(read)
        check_not_trashed(image)
        try:
            image = await wait_until_processed(request, services, None, image, _WAIT_SECONDS)
        except NotFound:  # deleted meanwhile
            image = await run_in_threadpool(read)
    except (NotFound, Gone) as error:
        shared = "public" if services.keyring is None or isinstance(error, Gone) else "private"
        headers = {"Cache-Control": f"{shared}, max-age={_ABSENT_SECONDS}"}
        raise refusal(error.code, headers=headers) from None
    if image.status is Status.PENDING:
        raise refusal("not_ready", headers={"Retry-After": str(_RETRY_SECONDS)}, status_of_image=image.status)
    check_ready(image)
    return image


def _has_format(image: Image, asked: SizeRequest) -> bool:
    return any(variant.format is asked.query.format for variant in image.variants)


async def _render(request: Request, services: Services, image: Image, asked: SizeRequest) -> Response:
    """Answer with a size of a `ready` image, which is rendered unless it is stored."""
    for _ in range(_ATTEMPTS):
        operation = _resolve(services, image, asked)
        stored = partial(_stored_response, request, services, image, operation, asked)
        response = await run_in_threadpool(stored)
        if response is not None:
            log_fields(request.scope).setdefault("size", "hit")  # a miss of an earlier attempt stays one
            return response
        add_log_fields(request.scope, size="miss")
        try:
            await services.shared_renderings.render(image.owner, shown_size_key(image, operation), image.id, operation)
            response = await run_in_threadpool(stored, is_new=True)
            if response is not None:
                return response
        except RendererBusy as error:
            raise refusal("renderer_busy", retry_after=error.retry_after) from None
        except NotRenderable as error:
            raise refusal("not_renderable", reason=error.detail, cause=error.code) from None
        except Missing:
            pass
        image = await _find(request, services, image.id)  # it has changed meanwhile
    raise refusal("busy")


def _resolve(services: Services, image: Image, asked: SizeRequest) -> Operation:
    shape = (image.width or 1, image.height or 1)
    operation = services.sizes.resolve(image.id, asked.query, _format(services, asked), asked.signature, shape)
    assert operation is not None  # noqa: S101 - the shape is given
    return operation


def _format(services: Services, asked: SizeRequest) -> Format:
    return asked.choose_format(services.sizes.ladder.formats)


def _stored_response(
    request: Request,
    services: Services,
    image: Image,
    operation: Operation,
    asked: SizeRequest,
    *,
    is_new: bool = False,
) -> Response | None:
    """Answer with the bytes of a stored size, or a redirect to them; None if it is not stored."""
    key, public = shown_size_key(image, operation), image.effective_visibility is Visibility.PUBLIC
    if services.files is not None:
        return _file_response(request, services.files(key), asked, public=public, is_new=is_new)
    url = services.urls.size(image, operation.name, get_client_method(request.scope))
    if url is None or services.store.stat(key) is None:
        return None
    headers = {} if asked.extension else {"Vary": "Accept"}
    headers |= public_redirect_headers(services.urls.expires_at(image)) if public else {"Cache-Control": "no-cache"}
    return redirect(url, get_base_path(request.scope), headers)


def _file_response(
    request: Request, path: FilePath | None, asked: SizeRequest, *, public: bool, is_new: bool = False
) -> Response | None:
    """Answer with a file; None if there is none, or if its end was lost in a power failure.

    The end of a new file, which was rendered for this request, is there.
    """
    try:
        if path is None:
            return None
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            head = file.read(SNIFF_BYTES)
            tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
            headers = {
                **FILE_HEADERS,
                "ETag": tag,
                "Cache-Control": (_VERSIONED if asked.is_versioned else _PUBLIC) if public else _PRIVATE,
            }
            if asked.extension is None:
                headers["Vary"] = "Accept"
            if not_modified(request.headers.get("if-none-match"), tag):
                return Response(status_code=304, headers=headers)
            media_type = size_type_of(head)
            is_small = status.st_size <= _SMALL_BYTES and "range" not in request.headers
            data = head + file.read() if is_small else None
            if not (is_new or is_complete(file if data is None else io.BytesIO(data))):
                return None
            if data is not None:
                return Response(data, headers=headers, media_type=media_type)
    except OSError:
        return None
    return RangedFile(path, headers=headers, media_type=media_type, stat_result=status)
