"""Uploads."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.api.bodies.request_schemas import FORM, IMAGE, JSON, RAW, request_body
from app.api.bodies.upload import upload_in
from app.api.dependencies import Base, Handed, Owner, SpoolsDep
from app.api.http.access import KeyedRoute, needs
from app.api.http.log_fields import clock_of, note
from app.api.http.problem_examples import problems, shaped
from app.api.routes.wait import MOST_SECONDS, settled
from app.api.views.image import ImageView, view
from app.api.views.responses import etag, record
from app.domain.access.api_keys import Scope

router = APIRouter(route_class=KeyedRoute)
F = TypeVar("F", bound=Callable[..., Any])

#: Tag of the operations that do what `POST /upload` does, and are described with one body type each.
ONE_BODY = "uploads, one body type each"
_REFUSALS = (
    "incomplete_body", "empty_body", "empty_file", "bad_multipart", "bad_boundary", "bad_length", "unterminated",
    "two_files", "too_many_fields", "duplicate_field", "not_utf8", "bad_charset", "bad_json", "too_deep",
    "request_timeout", "too_large", "body_too_large", "fields_too_large", "unsupported_type", "unsupported_body",
    "unsupported_encoding", "unsupported_charset", "damaged_by_gateway", "missing_file", "missing_field",
    "unknown_field", "bad_base64", "wrong_type", "control_character", "too_long", "invalid_request", "too_many_uploads",
    "storage_full",
)  # fmt: skip


class UploadOptions(BaseModel):
    """The query of every upload. `QueryRule` refuses other names."""

    wait: int = Field(
        default=0,
        ge=0,
        le=MOST_SECONDS,
        description="Answer when the image is ready or failed, or after so many seconds.",
        examples=[MOST_SECONDS],
        json_schema_extra={"example": MOST_SECONDS},  # Swagger UI fills in this one, and no `examples`
    )
    on_duplicate: Literal["reuse", "create"] = Field(
        default="reuse",
        description="If these bytes have a record already: `reuse` answers with it, `create` makes a new image.",
    )


class UploadParameters(UploadOptions):
    """The query of an upload with any body. A raw body's fields are read by `RawBody`."""

    filename: str | None = Field(default=None, description="For a raw body: its file name, for display.")
    title: str | None = Field(default=None, description="For a raw body: a name for people.")
    alt: str | None = Field(default=None, description="For a raw body: what the image shows.")
    tags: list[str] = Field(default_factory=list, description="For a raw body: repeated, or separated by commas.")


@dataclass(frozen=True)
class _Service:
    """Parts of the service that an upload needs."""

    parts: Handed
    spools: SpoolsDep
    owner: Owner
    base: Base


Service = Annotated[_Service, Depends()]


def _route(path: str, name: str, summary: str, tag: str, *bodies: dict[str, Any]) -> Callable[[F], F]:
    return router.post(
        path,
        operation_id=name,
        tags=[tag],
        summary=summary,
        status_code=201,
        response_description="The record of the new image",
        openapi_extra=request_body(*bodies),
        responses={
            201: shaped(ImageView),
            200: shaped(ImageView, "These bytes are here already: their record, with `duplicate: true`"),
            **problems(*_REFUSALS),
        },
    )


@_route("/upload", "upload", "Upload an image", "uploads", FORM, JSON, IMAGE, RAW)
@needs(Scope.UPLOAD)
async def upload(request: Request, service: Service, query: Annotated[UploadParameters, Query()]) -> Response:
    """Send a form with a `file`, JSON with `image_base64`, or the image itself. Its format is detected from its bytes.

    The answer comes as soon as the original is stored; the variants follow. `failed` images were received whole and
    could not be processed: their `error` says why.
    """
    return await _accept(request, service, query)


@_route("/upload/form", "upload_form", "Upload an image by form", ONE_BODY, FORM)
@needs(Scope.UPLOAD)
async def upload_form(request: Request, service: Service, query: Annotated[UploadOptions, Query()]) -> Response:
    """Do the same as `POST /upload`."""
    return await _accept(request, service, query)


@_route("/upload/json", "upload_json", "Upload an image as base64 in JSON", ONE_BODY, JSON)
@needs(Scope.UPLOAD)
async def upload_json(request: Request, service: Service, query: Annotated[UploadOptions, Query()]) -> Response:
    """Do the same as `POST /upload`."""
    return await _accept(request, service, query)


@_route("/upload/raw", "upload_raw", "Upload an image as the body", ONE_BODY, RAW)
@needs(Scope.UPLOAD)
async def upload_raw(request: Request, service: Service, query: Annotated[UploadParameters, Query()]) -> Response:
    """Do the same as `POST /upload`."""
    return await _accept(request, service, query)


async def _accept(request: Request, service: _Service, query: UploadOptions) -> Response:
    parts, owner = service.parts, service.owner
    clock = clock_of(request.scope)
    async with AsyncExitStack() as stack:
        with clock.phase("receive"):
            received = await stack.enter_async_context(upload_in(request, parts.limits, service.spools))
        keep = query.on_duplicate == "create"
        with clock.phase("store"):
            accepted = await run_in_threadpool(parts.uploads.accept, owner, received.upload, keep_duplicate=keep)
    note(request.scope, image_id=accepted.image.id, image_bytes=received.upload.size, duplicate=accepted.duplicate)
    image = await settled(request, parts.images, owner, accepted.image, query.wait)
    tag = etag(image, parts.urls)
    shown = view(image, parts.urls, service.base, duplicate=accepted.duplicate, ignored_fields=received.ignored_fields)
    return record(shown, tag, 200 if accepted.duplicate else 201, {"Location": shown.links.self})
