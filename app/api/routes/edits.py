"""Changes of the description and the visibility of images."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.bodies.field_schemas import (
    ALT,
    FILENAME,
    FOCAL_POINT,
    METADATA,
    TAG_LIST,
    TAGS_FIELD,
    TITLE,
    VISIBILITY,
)
from app.api.bodies.json_body import read_json_body
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import BasePathDep, ServicesDep, VisibleOwnerDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.json_object import parse_object
from app.api.http.problem_examples import model_response, problem_responses
from app.api.routes.bulk import IDS, BulkResults, answer_for_each, parse_ids
from app.api.routes.images import ImageId
from app.api.services import Services
from app.api.views.image import ImageView, view
from app.api.views.responses import EntityTag, etag, image_response, parse_if_match
from app.domain.access.api_keys import Scope
from app.domain.images.patch import BulkPatch, Patch
from app.domain.models import Image

router = APIRouter(tags=["images"], route_class=ScopedRoute)

#: Media types of a patch. Both are read as a merge patch.
PATCH_TYPES = ("application/json", "application/merge-patch+json")
_BODY_PROBLEMS = (
    "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field", "request_timeout", "body_too_large",
    "unsupported_body", "unknown_field", "missing_field", "wrong_type", "bad_metadata_key", "bad_visibility",
    "control_character", "too_long", "invalid_request",
)  # fmt: skip


def _or_null(schema: dict[str, Any], effect: str) -> dict[str, Any]:
    """Return the schema with null as a further value."""
    described = f"{schema['description']} {effect}"
    return {**schema, "type": [schema["type"], "null"], "description": described}


_METADATA_PATCH: dict[str, Any] = {
    **METADATA,
    "type": ["object", "null"],
    "additionalProperties": {"type": ["string", "null"]},
    "description": f"{METADATA['description']} Keys that are absent stay. Null removes a key, and null instead of the "
    "object removes all keys.",
}
_FOCAL_POINT_PATCH = _or_null(
    {name: value for name, value in FOCAL_POINT.items() if name != "required"},
    "One coordinate may be absent if the image has a focal point. Null removes it.",
)
_VISIBILITY = {**VISIBILITY, "description": "`public`: everybody can see the variants, under urls that last."}

#: JSON schema of a patch of one image.
IMAGE_PATCH: dict[str, Any] = {
    "type": "object",
    "title": "ImagePatch",
    "description": "JSON merge patch (RFC 7396): absent fields stay, null removes a value.",
    "additionalProperties": False,
    "properties": {
        "title": _or_null(TITLE, "Null removes it."),
        "alt": _or_null(ALT, "Null removes it."),
        "tags": _or_null({**TAGS_FIELD, "description": "All tags of the image."}, "Null removes all."),
        "metadata": _METADATA_PATCH,
        "focal_point": _FOCAL_POINT_PATCH,
        "visibility": _VISIBILITY,
        "filename": _or_null(FILENAME, "Null removes it."),
    },
}
#: JSON schema of a change of many images.
BULK_EDIT: dict[str, Any] = {
    "type": "object",
    "title": "BulkEdit",
    "description": "The images, and at least one change.",
    "required": ["ids"],
    "minProperties": 2,
    "additionalProperties": False,
    "properties": {
        "ids": IDS,
        "remove_tags": {**TAG_LIST, "description": "Tags to remove, before others are added."},
        "add_tags": {**TAG_LIST, "description": "Tags to add."},
        "visibility": _VISIBILITY,
        "metadata": _METADATA_PATCH,
    },
}


@router.patch(
    "/images/{image_id}",
    operation_id="edit_image",
    summary="Edit an image",
    response_description="The record after the change",
    openapi_extra=json_request(
        "ImagePatch", {"title": "Lighthouse", "tags": ["sea", "evening"], "visibility": "public"}, PATCH_TYPES
    ),
    responses={
        200: model_response(ImageView)
        | {"headers": {"ETag": {"description": "Version of the record and its urls.", "schema": {"type": "string"}}}},
        **problem_responses(
            *_BODY_PROBLEMS, "out_of_range", "bad_if_match", "image_not_found", "busy", "trashed", "version_mismatch",
            "storage_full",
        ),
    },
)  # fmt: skip
@requires(Scope.EDIT)
async def edit_image(
    request: Request,
    image_id: ImageId,
    services: ServicesDep,
    owner: VisibleOwnerDep,
    base_path: BasePathDep,
    if_match: Annotated[
        list[EntityTag] | None,
        Header(description="`ETag` of the record: the change is made to this version only, else 412."),
    ] = None,
) -> Response:
    """Change title, alternative text, tags, metadata, focal point, visibility or file name.

    A new focal point renders the image again, which stays `ready` with its old variants until the new ones are there. A
    new visibility moves the variants. Without `If-Match` the change is made to any version; changes of different fields
    at the same time are all kept.
    """
    versions = parse_if_match(if_match or ())
    body = await read_json_body(request, PATCH_TYPES, headers={"Accept-Patch": ", ".join(PATCH_TYPES)})

    def edit() -> Image:
        patch = Patch.parse(parse_object(body))
        expected = _choose_version(services, owner, image_id, versions)
        return services.editor.edit(owner, image_id, patch, expected)

    image = await run_in_threadpool(edit)
    tag = etag(image, services.urls)
    return image_response(view(image, services.urls, base_path), tag)


def _choose_version(
    services: Services, owner: str | None, image_id: str, versions: frozenset[int] | None
) -> int | None:
    """Return the version that the record must have: one of `versions`, or None for any."""
    if versions is None:
        return None
    if len(versions) > 1:
        found = services.images.get(owner, image_id).version
        if found in versions:
            return found
    return min(versions, default=0)  # no record has the version 0


@router.post(
    "/images/edit",
    operation_id="edit_images",
    summary="Edit many images",
    response_description="One result for each image",
    openapi_extra=json_request(
        "BulkEdit",
        {"ids": ["01a21211-8a9b-7bc8-801b-cadcca2023b7"], "add_tags": ["sea"], "visibility": "public"},
    ),
    responses={200: model_response(BulkResults), **problem_responses(*_BODY_PROBLEMS)},
)
@requires(Scope.EDIT)
async def edit_images(request: Request, services: ServicesDep, owner: VisibleOwnerDep) -> Response:
    """Make the same change to up to 100 images. Each of them is changed or has an error, in the order of `ids`.

    Unknown and malformed ids, and ids of other owners, have the status 404. To repeat a request is harmless.
    """
    body = await read_json_body(request)

    def parse() -> tuple[list[str], BulkPatch]:
        members = parse_object(body)
        ids = parse_ids(members.pop("ids", None))
        return ids, BulkPatch.parse(members)

    ids, patch = await run_in_threadpool(parse)
    return await answer_for_each(
        request, services.bulk_threads, ids, lambda image_id: services.editor.edit(owner, image_id, patch)
    )


@router.post(
    "/images/{image_id}/reprocess",
    operation_id="reprocess_image",
    summary="Render an image again",
    status_code=202,
    response_description="The record: the image is rendered again",
    responses={
        202: model_response(ImageView)
        | {"headers": {"Location": {"description": "Path of the record.", "schema": {"type": "string"}}}},
        **problem_responses("image_not_found", "not_ready", "busy", "trashed", "storage_full"),
    },
)
@requires(Scope.EDIT)
def reprocess_image(
    image_id: ImageId, services: ServicesDep, owner: VisibleOwnerDep, base_path: BasePathDep
) -> Response:
    """Make the variants of an image again from its original, such as with a new recipe or after a failure.

    A `ready` image stays `ready` and keeps its variants until the new ones are stored. If that fails, it has a
    `reprocess_error`. A `failed` image becomes `pending`.
    """
    image = services.editor.reprocess(owner, image_id)
    tag = etag(image, services.urls)
    shown = view(image, services.urls, base_path)
    return image_response(shown, tag, 202, {"Location": shown.links.self})
