"""Deletion of images, to the trash or permanently, and restore."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.bodies.json_body import read_json_body
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import BasePathDep, ServicesDep, VisibleOwnerDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.json_object import JsonObject
from app.api.http.problem_examples import model_response, problem_responses
from app.api.routes.bulk import IDS, BulkResults, answer_for_each, parse_ids
from app.api.routes.images import ImageId
from app.api.views.image import ImageView, view
from app.api.views.responses import etag, image_response
from app.domain.access.api_keys import Scope

router = APIRouter(tags=["images"], route_class=ScopedRoute)

_BODY_PROBLEMS = (
    "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field", "request_timeout", "body_too_large",
    "unsupported_body", "unknown_field", "missing_field", "wrong_type", "too_long", "invalid_request",
)  # fmt: skip
_EXAMPLE: dict[str, Any] = {"ids": ["01a21211-8a9b-7bc8-801b-cadcca2023b7"]}
_PERMANENT = "Delete at once, also an image in the trash, instead of moving it there."

#: JSON schema of a deletion of many images.
BULK_DELETE: dict[str, Any] = {
    "type": "object",
    "title": "BulkDelete",
    "description": "The images to delete.",
    "required": ["ids"],
    "additionalProperties": False,
    "properties": {"ids": IDS, "permanent": {"type": "boolean", "default": False, "description": _PERMANENT}},
}
#: JSON schema of a restore of many images.
BULK_RESTORE: dict[str, Any] = {
    "type": "object",
    "title": "BulkRestore",
    "description": "The images to restore.",
    "required": ["ids"],
    "additionalProperties": False,
    "properties": {"ids": IDS},
}


@router.delete(
    "/images/{image_id}",
    operation_id="delete_image",
    summary="Delete an image",
    status_code=204,
    response_description="The image is deleted or in the trash, or never existed",
    responses=problem_responses("busy", "trash_full"),
)
@requires(Scope.DELETE)
def delete_image(
    image_id: ImageId,
    services: ServicesDep,
    owner: VisibleOwnerDep,
    permanent: Annotated[bool, Query(description=_PERMANENT)] = False,
) -> Response:
    """Move an image to the trash, or delete record, original and variants permanently.

    `trash_days` of `GET /limits` is the number of days in which the image can be restored; then it is deleted
    permanently. Nobody but its owner sees it. If `trash_days` is 0, every delete is permanent; that of an upload ticket
    without bytes always is.

    Idempotent: 204 also for unknown ids, images of others, and images in the trash, which stay there.
    """
    services.trash.delete(owner, image_id, permanent=permanent)
    return Response(status_code=204)


@router.post(
    "/images/delete",
    operation_id="delete_images",
    summary="Delete many images",
    response_description="One result for each image",
    openapi_extra=json_request("BulkDelete", _EXAMPLE),
    responses={200: model_response(BulkResults), **problem_responses(*_BODY_PROBLEMS)},
)
@requires(Scope.DELETE)
async def delete_images(request: Request, services: ServicesDep, owner: VisibleOwnerDep) -> Response:
    """Delete up to 100 images like `DELETE /images/{id}`. Each has the status 204, or an error, in the order of `ids`.

    To repeat a request is harmless.
    """
    body = await read_json_body(request)

    def parse() -> tuple[list[str], bool]:
        members = JsonObject.parse(body, ("ids", "permanent"))
        return parse_ids(members.value("ids")), members.flag("permanent")

    ids, permanent = await run_in_threadpool(parse)
    return await answer_for_each(
        request,
        services.bulk_threads,
        ids,
        lambda image_id: services.trash.delete(owner, image_id, permanent=permanent),
    )


@router.post(
    "/images/{image_id}/restore",
    operation_id="restore_image",
    summary="Restore an image from the trash",
    response_description="The record",
    responses={
        200: model_response(ImageView)
        | {"headers": {"ETag": {"description": "Version of the record and its urls.", "schema": {"type": "string"}}}},
        **problem_responses("image_not_found", "busy", "storage_full"),
    },
)
@requires(Scope.DELETE)
def restore_image(image_id: ImageId, services: ServicesDep, owner: VisibleOwnerDep, base_path: BasePathDep) -> Response:
    """Restore an image from the trash, with its id, its description and its visibility.

    A public image is published again. An image that is not in the trash stays as it is. If the same bytes were uploaded
    again meanwhile, both images exist.
    """
    image = services.trash.restore(owner, image_id)
    tag = etag(image, services.urls)
    return image_response(view(image, services.urls, base_path), tag)


@router.post(
    "/images/restore",
    operation_id="restore_images",
    summary="Restore many images",
    response_description="One result for each image",
    openapi_extra=json_request("BulkRestore", _EXAMPLE),
    responses={200: model_response(BulkResults), **problem_responses(*_BODY_PROBLEMS)},
)
@requires(Scope.DELETE)
async def restore_images(request: Request, services: ServicesDep, owner: VisibleOwnerDep) -> Response:
    """Restore up to 100 images from the trash. Each is restored or has an error, in the order of `ids`.

    Unknown, malformed and deleted ids, and ids of other owners, have the status 404. To repeat a request is harmless.
    """
    body = await read_json_body(request)

    def parse() -> list[str]:
        return parse_ids(JsonObject.parse(body, ("ids",)).value("ids"))

    ids = await run_in_threadpool(parse)
    return await answer_for_each(
        request, services.bulk_threads, ids, lambda image_id: services.trash.restore(owner, image_id)
    )
