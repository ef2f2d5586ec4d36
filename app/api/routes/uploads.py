"""Pictures in."""

from contextlib import AsyncExitStack
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.api.access import KeyedRoute, needs
from app.api.answers import etag, record
from app.api.bodies import upload_in
from app.api.documented import problems, shaped
from app.api.field_schemas import DESCRIPTION_FIELDS, FILENAME
from app.api.notes import clock_of, note
from app.api.parts import Base, Handed, Owner, SpoolsDep
from app.api.views import ImageView, view
from app.api.waiting import MOST_SECONDS, settled
from app.domain.access import Scope

router = APIRouter(tags=["uploads"], route_class=KeyedRoute)

_MULTIPART = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "The picture."},
        **DESCRIPTION_FIELDS,
    },
}
_JSON = {
    "type": "object",
    "required": ["image_base64"],
    "additionalProperties": False,
    "properties": {
        "filename": FILENAME,
        "content_type": {"type": "string", "description": "Recorded as the client's word; the bytes decide."},
        "image_base64": {
            "type": "string",
            "contentEncoding": "base64",
            "description": "The picture in base64: standard or URL-safe alphabet, with or without line breaks and a "
            "`data:…;base64,` prefix.",
        },
        **DESCRIPTION_FIELDS,
    },
}
_RAW = {
    "type": "string",
    "format": "binary",
    "description": "The image itself. `filename`, `title`, `alt` and `tags` go in the query.",
}
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _MULTIPART,
                "encoding": {"tags": {"style": "form", "explode": True}},
            },
            "application/json": {
                "schema": _JSON,
                "example": {
                    "filename": "pixel.png",
                    "content_type": "image/png",
                    "image_base64": _PIXEL,
                    "title": "A pixel",
                    "tags": ["small"],
                },
            },
            "image/*": {"schema": _RAW},
            "application/octet-stream": {"schema": _RAW},
        },
    }
}


class UploadParameters(BaseModel):
    """The query of an upload. `QueryRule` refuses other names; a raw body's fields are read by `RawBody`."""

    wait: int = Field(
        default=0,
        ge=0,
        le=MOST_SECONDS,
        description="Answer when the image is ready or failed, or after so many seconds.",
        examples=[MOST_SECONDS],
        json_schema_extra={"example": MOST_SECONDS},  # Swagger UI fills in this one, and no `examples`
    )
    on_duplicate: Literal["find", "keep"] = Field(
        default="find", description="`find` answers with the record that these bytes have; `keep` stores them again."
    )
    filename: str | None = Field(default=None, description="For a raw body: its file name, for display.")
    title: str | None = Field(default=None, description="For a raw body: a name for people.")
    alt: str | None = Field(default=None, description="For a raw body: what the image shows.")
    tags: list[str] = Field(default_factory=list, description="For a raw body: repeated, or separated by commas.")


@router.post(
    "/upload",
    operation_id="upload",
    summary="Upload a picture",
    status_code=201,
    response_description="The record of the new image",
    openapi_extra=_BODY,
    responses={
        201: shaped(ImageView),
        200: shaped(ImageView, "These bytes are here already: their record, with `duplicate: true`"),
        **problems(
            "foreign_origin", "incomplete_body", "empty_body", "empty_file", "bad_multipart", "bad_boundary",
            "bad_length", "unterminated", "two_files", "too_many_fields", "duplicate_field", "not_utf8",
            "bad_charset", "bad_json", "too_deep", "request_timeout", "too_large", "body_too_large",
            "fields_too_large", "unsupported_type", "unsupported_body", "unsupported_encoding", "unsupported_charset",
            "damaged_by_gateway", "missing_file", "missing_field", "unknown_field", "bad_base64", "wrong_type",
            "control_character", "too_long", "invalid_request", "too_many_uploads", "storage_full",
        ),
    },
)  # fmt: skip
@needs(Scope.UPLOAD)
async def upload(
    request: Request,
    parts: Handed,
    spools: SpoolsDep,
    owner: Owner,
    base: Base,
    parameters: Annotated[UploadParameters, Query()],
) -> Response:
    """Send a form with a `file`, JSON with `image_base64`, or the image itself. Its format is detected from its bytes.

    The answer comes as soon as the original is stored; the variants follow. `failed` images were received whole and
    could not be processed: their `error` says why.
    """
    clock = clock_of(request.scope)
    async with AsyncExitStack() as stack:
        with clock.phase("receive"):
            received = await stack.enter_async_context(upload_in(request, parts.limits, spools))
        keep = parameters.on_duplicate == "keep"
        with clock.phase("store"):
            accepted = await run_in_threadpool(parts.uploads.accept, owner, received.upload, keep_duplicate=keep)
    note(request.scope, image_id=accepted.image.id, picture_bytes=received.upload.size, duplicate=accepted.duplicate)
    image = await settled(request, parts.images, owner, accepted.image, parameters.wait)
    tag = etag(image, parts.urls)
    shown = view(image, parts.urls, base, duplicate=accepted.duplicate, ignored_fields=received.ignored_fields)
    return record(shown, tag, 200 if accepted.duplicate else 201, {"Location": shown.links.self})
