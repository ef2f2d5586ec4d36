"""Uploads through the API."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.api.bodies.request_schemas import FORM, IMAGE, JSON, RAW, request_body
from app.api.bodies.upload import Complete, RequestedUpload, receive_upload
from app.api.dependencies import BasePathDep, CallerDep, ServicesDep, get_admitted, get_services
from app.api.http.access import ScopedRoute, answered_directly, requires
from app.api.http.idempotency_key import IDEMPOTENCY_PROBLEMS, REPLAYED, REPLAYED_HEADER, IdempotencyKeyDep
from app.api.http.log_fields import add_log_fields, phase_timer
from app.api.http.problem_examples import model_response, problem_responses
from app.api.http.public_address import BasePath, get_base_path
from app.api.middleware.deadline import seconds_left
from app.api.services import Services
from app.api.views.image import ImageView, view
from app.api.views.responses import etag, image_response
from app.api.waiting import MAX_WAIT_SECONDS, WAIT_DESCRIPTION, wait_until_processed
from app.domain.access.api_keys import OWNER_PATTERN, Caller, Scope
from app.domain.models import Visibility
from app.domain.uploads.idempotency import Effect, KeyedRequest, Operation, fingerprint
from app.domain.uploads.requests import FIRST_ATTEMPT, Attempt
from app.domain.uploads.service import Accepted

router = APIRouter(route_class=ScopedRoute)
F = TypeVar("F", bound=Callable[..., Any])

#: Tag of the operations that do the same as `POST /upload`, each described with one body type.
ONE_BODY = "uploads by body type"
_REFUSALS = (
    "incomplete_body", "empty_body", "empty_file", "bad_multipart", "bad_boundary", "bad_length", "unterminated",
    "two_files", "too_many_fields", "duplicate_field", "not_utf8", "bad_charset", "bad_json", "too_deep",
    "request_timeout", "too_large", "body_too_large", "fields_too_large", "unsupported_type", "unsupported_body",
    "unsupported_encoding", "unsupported_charset", "damaged_by_gateway", "missing_file", "missing_field",
    "unknown_field", "bad_base64", "wrong_type", "out_of_range", "bad_metadata_key", "bad_visibility", "bad_owner",
    "fetch_disabled", "fetch_refused", "fetch_failed", "too_many_fetches", "source_changed",
    "control_character", "too_long", "invalid_request", "scope_missing", "too_many_uploads", "storage_full",
    "quota_exceeded",
    *IDEMPOTENCY_PROBLEMS,
)  # fmt: skip


class UploadOptions(BaseModel):
    """Query parameters of every upload. `QueryRule` refuses other names."""

    wait: int = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description=WAIT_DESCRIPTION,
        examples=[MAX_WAIT_SECONDS],
        json_schema_extra={"example": MAX_WAIT_SECONDS},  # Swagger UI fills in `example`, but not `examples`
    )
    on_duplicate: Literal["reuse", "create"] = Field(
        default="reuse",
        description="For duplicates: `reuse` returns the existing record, `create` makes a new image.",
    )


class UploadParameters(UploadOptions):
    """Query parameters of an upload with any body. `RawBody` reads the fields of a raw body."""

    filename: str | None = Field(default=None, description="Raw body only: file name, for display.")
    title: str | None = Field(default=None, description="Raw body only: title of the image.")
    alt: str | None = Field(default=None, description="Raw body only: alternative text.")
    tags: list[str] = Field(default_factory=list, description="Raw body only: tags, repeated or separated by commas.")
    metadata: str | None = Field(
        default=None, description="Raw body only: texts of your own, as a JSON object.", examples=['{"album":"7"}']
    )
    focal_point: str | None = Field(
        default=None, description="Raw body only: point that cropped variants keep, as `x,y`.", examples=["0.5,0.25"]
    )
    visibility: str | None = Field(
        default=None,
        description="Raw body only: `private` or `public`.",
        json_schema_extra={"enum": list(Visibility)},
    )
    owner: str | None = Field(
        default=None,
        description="Raw body only: owner of the image. Any but your own needs the scope `admin`.",
        json_schema_extra={"pattern": OWNER_PATTERN},
    )


def _route(path: str, name: str, summary: str, tag: str, *bodies: dict[str, Any]) -> Callable[[F], F]:
    return router.post(
        path,
        operation_id=name,
        tags=[tag],
        summary=summary,
        description="The same as `POST /upload`, described with one body type." if tag == ONE_BODY else None,
        status_code=201,
        response_description="The record of the new image",
        openapi_extra=request_body(*bodies),
        responses={
            201: model_response(ImageView) | REPLAYED_HEADER,
            200: model_response(ImageView, "Duplicate: the record of the same bytes, with `duplicate: true`")
            | REPLAYED_HEADER,
            **problem_responses(*_REFUSALS),
        },
    )


async def _upload_directly(request: Request) -> Response | None:
    if request.scope["query_string"] or "idempotency-key" in request.headers:
        return None
    base_path = get_base_path(request.scope)
    return await _accept(request, get_services(request), get_admitted(request), base_path, None, UploadOptions())


@_route("/upload/raw", "upload_raw", "Upload an image as the body", ONE_BODY, RAW)
@_route("/upload", "upload", "Upload an image", "uploads", FORM, JSON, IMAGE, RAW)
@requires(Scope.UPLOAD)
@answered_directly(_upload_directly)
async def upload(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    base_path: BasePathDep,
    key: IdempotencyKeyDep,
    query: Annotated[UploadParameters, Query()],
) -> Response:
    """Upload a form with a `file`, JSON with `image_base64` or a `url`, or the image itself.

    The format is detected from the bytes. The response is sent when the original is stored; without `wait`, the
    variants follow later. `failed` images were received, but could not be processed: see `error`. With an
    `Idempotency-Key` the request can be repeated.
    """
    return await _accept(request, services, caller, base_path, key, query)


@_route("/upload/json", "upload_json", "Upload an image in JSON", ONE_BODY, JSON)
@_route("/upload/form", "upload_form", "Upload an image in a form", ONE_BODY, FORM)
@requires(Scope.UPLOAD)
@answered_directly(_upload_directly)
async def upload_fields(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    base_path: BasePathDep,
    key: IdempotencyKeyDep,
    query: Annotated[UploadOptions, Query()],
) -> Response:
    """Upload an image in a form or JSON, which contain the fields that raw bodies have in the query."""
    return await _accept(request, services, caller, base_path, key, query)


async def _accept(
    request: Request, services: Services, caller: Caller, base_path: BasePath, key: str | None, query: UploadOptions
) -> Response:
    timer = phase_timer(request.scope)
    async with AsyncExitStack() as stack:
        with timer.phase("receive"):
            receiving = receive_upload(request, caller, services.limits, services.spools)
            complete = await stack.enter_async_context(receiving)
        with timer.phase("store"):
            stored = await run_in_threadpool(_store, services, caller, complete, key, query.on_duplicate)
        if isinstance(stored, RequestedUpload):
            with timer.phase("fetch"):
                stored = await _fetch(request, services, stored, key, query.on_duplicate)
    owner, accepted, replayed, ignored = stored
    duplicate = accepted.duplicate
    add_log_fields(request.scope, image_id=accepted.image.id, image_bytes=accepted.image.bytes, duplicate=duplicate)
    image = await wait_until_processed(request, services, owner, accepted.image, query.wait)
    tag = etag(image, services.urls)
    shown = view(image, services.urls, base_path, duplicate=duplicate, ignored_fields=ignored)
    headers = {"Location": shown.links.self, **({REPLAYED: "true"} if replayed else {})}
    return image_response(shown, tag, 200 if duplicate else 201, headers)


class _Stored(NamedTuple):
    """Stored upload; `replayed` is True if the request was a repetition of a finished one."""

    owner: str
    accepted: Accepted
    replayed: bool
    ignored_fields: tuple[str, ...] = ()


async def _fetch(
    request: Request, services: Services, requested: RequestedUpload, key: str | None, on_duplicate: str
) -> _Stored:
    """Fetch the image from its url and store it. A repetition of a finished request fetches nothing."""
    owner, wanted = requested.owner, requested.request
    quota = services.get_quota(get_admitted(request), owner)
    async with services.fetches.admit(owner), services.spools.open(services.limits.max_direct_bytes) as spool:

        def accept(attempt: Attempt = FIRST_ATTEMPT) -> Accepted:
            upload = services.fetches.fetch(wanted, spool, services.limits, seconds_left(request.scope))
            is_copy = on_duplicate == "create"
            return services.uploads.accept(owner, upload, keep_duplicate=is_copy, attempt=attempt, quota=quota)

        def run() -> _Stored:
            if key is None:
                return _Stored(owner, accept(), replayed=False)
            keyed = KeyedRequest(owner, key, Operation.UPLOAD, fingerprint(wanted, on_duplicate=on_duplicate))
            return _Stored(owner, *services.idempotency.run(keyed, accept, _effect, Accepted))

        return await services.fetches.run(run)


def _store(
    services: Services, caller: Caller, complete: Complete, key: str | None, on_duplicate: str
) -> _Stored | RequestedUpload:
    """Store the upload, or return it if its image must be fetched first."""
    received = complete()
    if isinstance(received, RequestedUpload):
        return received
    owner, upload = received.owner, received.upload
    quota = services.get_quota(caller, owner)

    def accept(attempt: Attempt = FIRST_ATTEMPT) -> Accepted:
        is_copy = on_duplicate == "create"
        return services.uploads.accept(owner, upload, keep_duplicate=is_copy, attempt=attempt, quota=quota)

    if key is None:
        return _Stored(owner, accept(), replayed=False, ignored_fields=received.ignored_fields)
    keyed = KeyedRequest(owner, key, Operation.UPLOAD, fingerprint(upload, on_duplicate=on_duplicate))
    return _Stored(owner, *services.idempotency.run(keyed, accept, _effect, Accepted), received.ignored_fields)


def _effect(accepted: Accepted) -> Effect:
    return Effect(accepted.image.id, accepted.duplicate)
