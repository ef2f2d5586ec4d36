"""Records out."""

import json
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.dependencies import Base, Calling, Handed, Sees
from app.api.http.access import KeyedRoute, needs
from app.api.http.problem_examples import problems, shaped
from app.api.routes.wait import MOST_SECONDS, may_wait, preferred_wait, settled
from app.api.views.image import ImageList, ImageView, view
from app.api.views.list_page import records
from app.api.views.list_query import Listing, ListParameters
from app.api.views.responses import etag, not_modified, record
from app.domain.access.api_keys import Scope

router = APIRouter(tags=["images"], route_class=KeyedRoute)

ImageId = Annotated[str, Path(description="The image's id.", examples=["019a9d1c-7c1e-7a3b-9f60-3d2b5a1c8e47"])]
Wait = Annotated[
    int | None,
    Query(ge=0, le=MOST_SECONDS, description="Answer when the image is ready or failed, or after so many seconds."),
]


@router.get(
    "/images",
    operation_id="list_images",
    summary="List images",
    responses={
        200: shaped(ImageList)
        | {"headers": {"Link": {"description": 'The next page, `rel="next"`.', "schema": {"type": "string"}}}},
        **problems("bad_cursor", "invalid_request"),
    },
)
@needs(Scope.READ)
def list_images(parts: Handed, caller: Calling, base: Base, parameters: Listing) -> Response:
    """Newest first, in full pages until the end. A query parameter that does not exist is refused.

    A page ends early where it would weigh more than 5 MB: the end of the list is where there is no `next_cursor`.

    A new image may take a moment to appear, and `GET /images/{id}` never does.

    The caller's own images, also for an admin: one with that scope names another owner.
    """
    owner = caller.list_owner(parameters.owner)
    page = parts.images.list(parameters.query(owner, parts.cursors))
    items = records(view(image, parts.urls, base) for image in page.items)
    last = items.cut_after or page.next_after
    cursor = parts.cursors.write(last, parameters.bound(owner)) if last else None
    headers = {"Cache-Control": "private, no-cache"}
    if cursor:
        headers["Link"] = f'<{base}/images?{_next(parameters, cursor)}>; rel="next"'
    body = f'{{"items":{items.json},"next_cursor":{json.dumps(cursor)}}}'
    return Response(body, 200, headers, "application/json")


def _next(parameters: ListParameters, cursor: str) -> str:
    return urlencode({**parameters.model_dump(mode="json", exclude_unset=True), "cursor": cursor})


@router.get(
    "/images/{image_id}",
    operation_id="get_image",
    summary="Get an image's record",
    responses={
        200: shaped(ImageView)
        | {"headers": {"ETag": {"description": "Of the record and its urls.", "schema": {"type": "string"}}}},
        304: {"description": "The record is as `If-None-Match` names it"},
        **problems("image_not_found", "invalid_request"),
    },
)
@needs(Scope.READ)
async def get_image(
    request: Request,
    image_id: ImageId,
    parts: Handed,
    owner: Sees,
    base: Base,
    wait: Wait = None,
    prefer: Annotated[str | None, Header(description="`wait=20` does what `?wait=20` does.")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """With `wait` the answer comes as soon as the image is `ready` or `failed`.

    When too many requests wait already, it comes at once, and a preference is not applied.
    """
    preferred = preferred_wait(prefer) if wait is None and may_wait(request) else None
    image = await run_in_threadpool(parts.images.get, owner, image_id)
    image = await settled(request, parts.images, owner, image, wait or preferred or 0)
    headers = {} if preferred is None else {"Preference-Applied": f"wait={preferred}", "Vary": "Prefer"}
    tag = etag(image, parts.urls)
    if not_modified(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache", **headers})
    return record(view(image, parts.urls, base), tag, headers=headers)


@router.delete(
    "/images/{image_id}",
    operation_id="delete_image",
    summary="Delete an image",
    status_code=204,
    response_description="The image is gone, or never was",
    responses=problems("busy"),
)
@needs(Scope.DELETE)
def delete_image(image_id: ImageId, parts: Handed, owner: Sees) -> Response:
    """Record, original and variants, for good. Repeatable: an unknown id, or another's, is 204 and does nothing."""
    parts.images.delete(owner, image_id)
    return Response(status_code=204)
