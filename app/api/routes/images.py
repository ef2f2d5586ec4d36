"""Records: list, get, and delete those of an owner."""

import time
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.dependencies import BasePathDep, CallerDep, ServicesDep, VisibleOwnerDep, get_admitted, get_services
from app.api.http.access import ScopedRoute, answered_directly, requires
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import model_response, problem_responses
from app.api.http.public_address import BasePath, get_base_path
from app.api.middleware.deadline import seconds_left
from app.api.services import Services
from app.api.views.image import ImageList, ImageView
from app.api.views.list_page import join_items
from app.api.views.list_query import ListParametersDep, Owner, read_parameters
from app.api.views.responses import json_answer, not_modified
from app.api.views.view_cache import ViewJson
from app.api.waiting import MAX_WAIT_SECONDS, WAIT_DESCRIPTION, parse_preferred_wait, wait_until_processed
from app.domain.access.api_keys import Scope
from app.domain.models import Model, Status

router = APIRouter(tags=["images"], route_class=ScopedRoute)

#: Longest time of one request that deletes the images of an owner. API Gateway waits 30 seconds.
_OWNER_SECONDS = 20.0
#: Reserved for deletes in progress if the request has a deadline.
_SECONDS_FOR_ONE = 5.0

ImageId = Annotated[str, Path(description="Id of the image.", examples=["019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47"])]
Wait = Annotated[int | None, Query(ge=0, le=MAX_WAIT_SECONDS, description=WAIT_DESCRIPTION)]


async def _list_directly(request: Request) -> Response | None:
    parameters = read_parameters(request.query_params)
    if parameters is None:
        return None
    services, caller = get_services(request), get_admitted(request)
    return await services.reads.run(list_images, services, caller, get_base_path(request.scope), parameters)


@router.get(
    "/images",
    operation_id="list_images",
    summary="List images",
    responses={
        200: model_response(ImageList)
        | {"headers": {"Link": {"description": 'Url of the next page, `rel="next"`.', "schema": {"type": "string"}}}},
        **problem_responses("bad_cursor", "invalid_request", "scope_missing"),
    },
)
@requires(Scope.READ)
@answered_directly(_list_directly)
def list_images(
    services: ServicesDep, caller: CallerDep, base_path: BasePathDep, parameters: ListParametersDep
) -> Response:
    """List the caller's images, newest first. Unknown query parameters are refused.

    A page may have fewer images than `limit`, because it is at most 5 MB large, and few images may match a filter. The
    last page has no `next_cursor`.

    A new image may take a moment to appear in lists. `GET /images/{id}` returns it at once.

    An API key with the scope `admin` lists the images of another owner with `owner`.
    """
    owner = caller.list_owner(parameters.owner)
    page = services.images.list_stored(parameters.build_query(owner, services.cursors))
    items = join_items(services.views.get_all(page.items, base_path))
    last = items.cut_after or page.next_after
    cursor = services.cursors.write(last, parameters.cursor_scope(owner)) if last else None
    headers = {"Cache-Control": "private, no-cache"}
    if cursor:
        headers["Link"] = f'<{base_path}/images?{urlencode(parameters.next_page(cursor))}>; rel="next"'
    return Response(items.body(next_cursor=cursor), 200, headers, "application/json")


async def _get_directly(request: Request) -> Response | None:
    if request.scope["query_string"] or "prefer" in request.headers:
        return None
    services, owner = get_services(request), get_admitted(request).visible_owner
    image_id, base_path = request.path_params["image_id"], get_base_path(request.scope)
    shown = await services.reads.run(_read, services, owner, image_id, base_path)
    return _answer(shown, request.headers.get("if-none-match"), {})


def _answer(shown: ViewJson, if_none_match: str | None, headers: Mapping[str, str]) -> Response:
    headers = {"ETag": shown.etag, "Cache-Control": "private, no-cache", **headers}
    if not_modified(if_none_match, shown.etag):
        return Response(status_code=304, headers=headers)
    return Response(shown.json, 200, headers, "application/json")


@router.get(
    "/images/{image_id}",
    operation_id="get_image",
    summary="Get an image's record",
    responses={
        200: model_response(ImageView)
        | {"headers": {"ETag": {"description": "Version of the record and its urls.", "schema": {"type": "string"}}}},
        304: {"description": "The record has not changed since the `ETag` in `If-None-Match`"},
        **problem_responses("image_not_found", "invalid_request"),
    },
)
@requires(Scope.READ)
@answered_directly(_get_directly)
async def get_image(
    request: Request,
    image_id: ImageId,
    services: ServicesDep,
    owner: VisibleOwnerDep,
    base_path: BasePathDep,
    wait: Wait = None,
    prefer: Annotated[str | None, Header(description="`wait=20` has the same effect as the query parameter.")] = None,
    if_none_match: Annotated[
        str | None, Header(description="`ETag` of a record: 304 if it has not changed.", examples=['"v7"'])
    ] = None,
) -> Response:
    """Get the record of an image. With `wait`, the response is sent as soon as the image is `ready` or `failed`.

    If too many requests are waiting, the response is sent at once, without `Preference-Applied`.
    """
    preferred = parse_preferred_wait(prefer) if wait is None and not services.waiters.full else None
    shown = await run_in_threadpool(_read, services, owner, image_id, base_path)
    seconds = wait or preferred or 0
    if seconds and shown.status is Status.PENDING:
        image = await run_in_threadpool(services.images.get, owner, image_id)
        await wait_until_processed(request, services, owner, image, seconds)
        shown = await run_in_threadpool(_read, services, owner, image_id, base_path)
    headers = {} if preferred is None else {"Preference-Applied": f"wait={preferred}", "Vary": "Prefer"}
    return _answer(shown, if_none_match, headers)


def _read(services: Services, owner: str | None, image_id: str, base_path: BasePath) -> ViewJson:
    shown = services.views.get(services.images.get_stored(image_id), base_path)
    shown.check_owner(owner)
    return shown


class DeletedImages(Model, defer_build=True):
    """Result of deleting the images of an owner."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"deleted": 214, "complete": True}]})

    deleted: int = Field(description="Number of images that this request has deleted.")
    complete: bool = Field(description="False if images may be left: repeat the request.")


@router.delete(
    "/images",
    operation_id="delete_images_of_owner",
    summary="Delete all images of an owner",
    response_description="The number of deleted images",
    responses={
        200: model_response(DeletedImages),
        **problem_responses("invalid_request", "confirm_mismatch", "busy"),
    },
)
@requires(Scope.ADMIN)
def delete_images_of_owner(
    request: Request,
    services: ServicesDep,
    owner: Annotated[Owner, Query(description="Owner of the images.")],
    confirm: Annotated[str, Query(description="The same name again.", examples=["ann"])],
) -> Response:
    """Delete records, originals, variants and upload tickets of an owner permanently, with the trash.

    A request deletes for 20 seconds at most. Repeat it until `complete` is true.

    Revoke the keys of the owner first: an image that is uploaded at the same time can stay.
    """
    if confirm != owner:
        raise refusal("confirm_mismatch", field="confirm", found=confirm[:80], expected=owner)
    left = seconds_left(request.scope)
    seconds = _OWNER_SECONDS if left is None else min(_OWNER_SECONDS, left - _SECONDS_FOR_ONE)
    end = time.monotonic() + seconds
    done = services.owner_deletion.delete_all(owner, is_time_left=lambda: time.monotonic() < end)
    return json_answer(DeletedImages(deleted=done.deleted, complete=done.complete), 200, {"Cache-Control": "no-store"})
