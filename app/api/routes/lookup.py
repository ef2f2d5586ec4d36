"""Look-up of images by their bytes."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field
from starlette.responses import Response

from app.api.bodies.field_schemas import OWNER
from app.api.bodies.json_body import read_json_body
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import CallerDep, ServicesDep
from app.api.http.access import ScopedRoute, requires
from app.api.http.json_object import JsonObject
from app.api.http.problem_examples import model_response, problem_responses
from app.api.views.responses import json_answer
from app.domain.access.api_keys import Scope
from app.domain.models import Model

router = APIRouter(tags=["images"], route_class=ScopedRoute)

MAX_HASHES = 1000
#: Most bytes of a body: `MAX_HASHES` hashes, with some white space.
_MAX_BYTES = 128 * 1024
_EXAMPLE_HASH = "4e0d9a4f7b1f6b7c2a0e5f3d8c9b1a2f4e6d8c0b2a4f6e8d0c2b4a6f8e0d2c4b"

#: JSON schema of the request.
LOOKUP_BODY: dict[str, Any] = {
    "type": "object",
    "title": "LookupBody",
    "description": "The bytes to look for.",
    "required": ["sha256"],
    "additionalProperties": False,
    "properties": {
        "sha256": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_HASHES,
            "items": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"},
            "description": "SHA-256 of the bytes of each image, in hexadecimal digits.",
        },
        "owner": {**OWNER, "description": OWNER["description"].replace("the image", "the images")},
    },
}
_REQUEST = json_request("LookupBody", {"sha256": [_EXAMPLE_HASH]})


class KnownImages(Model, defer_build=True):
    """Images that exist already."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"known": {_EXAMPLE_HASH: "01a21211-8a9b-7bc8-801b-cadcca2023b7"}}]}
    )

    known: dict[str, str] = Field(
        description="Ids of the images, by hash as the request spells it. Hashes without an image are absent."
    )


@router.post(
    "/images/lookup",
    operation_id="look_up_images",
    summary="Look up images by their bytes",
    response_description="The images that exist already",
    openapi_extra=_REQUEST,
    responses={
        200: model_response(KnownImages),
        **problem_responses(
            "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field", "request_timeout",
            "body_too_large", "unsupported_body", "unknown_field", "missing_field", "wrong_type", "bad_sha256",
            "bad_owner", "too_long", "invalid_request", "scope_missing",
        ),
    },
)  # fmt: skip
@requires(Scope.UPLOAD)
async def look_up_images(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Return the ids of those images that exist already, by the SHA-256 of their bytes: they need no upload.

    Images count if they are `ready` and not in the trash. Upload the bytes of all other hashes: those of a `pending`
    image are recognized then.
    """
    body = await read_json_body(request, max_bytes=_MAX_BYTES)

    def look_up() -> KnownImages:
        members = JsonObject.parse(body, ("sha256", "owner"))
        wanted = members.sha256_list("sha256", MAX_HASHES)
        found = services.images.look_up(caller.upload_owner(members.text("owner")), set(wanted.values()))
        return KnownImages(known={written: found[sha256] for written, sha256 in wanted.items() if sha256 in found})

    return json_answer(await run_in_threadpool(look_up), headers={"Cache-Control": "no-store"})
