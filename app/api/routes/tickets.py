"""Upload tickets, and the upload itself where this server is the object store."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.bodies.field_schemas import DESCRIPTION_FIELDS, FILENAME
from app.api.bodies.json_body import read_json_body
from app.api.bodies.request_schemas import json_request
from app.api.dependencies import BasePathDep, CallerDep, ServicesDep
from app.api.http.access import ScopedRoute, allow_extra_query, no_key_required, requires
from app.api.http.body_stream import stream_body
from app.api.http.idempotency_key import IDEMPOTENCY_PROBLEMS, REPLAYED, REPLAYED_HEADER, IdempotencyKeyDep
from app.api.http.json_object import JsonObject
from app.api.http.log_fields import add_log_fields
from app.api.http.problem_catalog import refusal
from app.api.http.problem_examples import model_response, problem_responses
from app.api.http.public_address import absolute_url
from app.api.services import Services
from app.api.views.image import ImageView, view
from app.api.views.responses import etag, image_response, json_answer
from app.domain.access.api_keys import Caller, Scope
from app.domain.keys import original_id
from app.domain.media import registered_type
from app.domain.uploads.descriptions import NAMES, parse_media_type
from app.domain.uploads.field_values import missing_field
from app.domain.uploads.filenames import display_name
from app.domain.uploads.idempotency import Effect, KeyedRequest, Operation, fingerprint
from app.domain.uploads.requests import TicketRequest
from app.domain.uploads.service import Accepted
from app.domain.uploads.tickets import Ticket

router = APIRouter(tags=["uploads"], route_class=ScopedRoute)
store_router = APIRouter(include_in_schema=False, route_class=ScopedRoute)

FIELDS = ("bytes", "content_type", "sha256", "filename", *NAMES, "owner")

#: JSON schema of the request. The checks are those of an upload as JSON.
TICKET_BODY: dict[str, Any] = {
    "type": "object",
    "title": "TicketBody",
    "description": "The image that will be uploaded.",
    "required": ["bytes", "content_type"],
    "additionalProperties": False,
    "properties": {
        "bytes": {"type": "integer", "minimum": 1, "description": "Exact size of the image in bytes."},
        "content_type": {
            "type": "string",
            "description": "Media type of the image. If it is empty or `application/octet-stream`, the extension of "
            "`filename` decides.",
            "examples": ["image/jpeg"],
        },
        "sha256": {
            "type": "string",
            "pattern": "^[0-9A-Fa-f]{64}$",
            "description": "SHA-256 of the bytes, in hexadecimal digits. Finds a duplicate or an open ticket before "
            "the upload, and the store then accepts these bytes only.",
        },
        "filename": FILENAME,
        **DESCRIPTION_FIELDS,
    },
}
_REQUEST = json_request("TicketBody", {"filename": "photo.jpg", "content_type": "image/jpeg", "bytes": 1378236})


@router.post(
    "/upload/direct",
    operation_id="create_upload_ticket",
    summary="Create an upload ticket",
    status_code=201,
    response_description="The upload ticket",
    openapi_extra=_REQUEST,
    responses={
        201: model_response(Ticket) | REPLAYED_HEADER,
        200: model_response(ImageView, "The bytes are stored already: their record, with `duplicate: true`")
        | REPLAYED_HEADER,
        **problem_responses(
            "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field",
            "request_timeout", "body_too_large", "too_large", "unsupported_type", "unsupported_body", "unknown_field",
            "missing_field", "wrong_type", "out_of_range", "bad_sha256", "bad_metadata_key", "bad_visibility",
            "bad_owner", "control_character", "too_long", "invalid_request", "scope_missing", "too_many_tickets",
            "storage_full", "quota_exceeded", *IDEMPOTENCY_PROBLEMS,
        ),
    },
)  # fmt: skip
@requires(Scope.UPLOAD)
async def create_upload_ticket(
    request: Request, services: ServicesDep, caller: CallerDep, base_path: BasePathDep, key: IdempotencyKeyDep
) -> Response:
    """Create a ticket to upload an image directly to the object store, such as one larger than `max_upload_bytes`.

    Send the bytes with the method of the ticket to its url, with exactly its headers. The store refuses another length,
    another type, bytes that do not match `sha256`, and a second upload. The image is then processed without another
    call: `GET /images/{id}?wait=20`. The record is not in lists until the bytes have arrived. The same request again,
    with `sha256`, returns the same ticket with a new url, or the record if the bytes have arrived.
    """
    body = await read_json_body(request)

    def issue() -> tuple[Ticket | Accepted, bool]:
        members = JsonObject.parse(body, FIELDS)
        wanted = _parse_request(members)
        return _issue(services, caller, caller.upload_owner(members.text("owner")), wanted, key)

    issued, replayed = await run_in_threadpool(issue)
    headers = {REPLAYED: "true"} if replayed else {}
    add_log_fields(request.scope, image_id=issued.image.id if isinstance(issued, Accepted) else issued.id)
    if isinstance(issued, Accepted):
        tag = etag(issued.image, services.urls)
        shown = view(issued.image, services.urls, base_path, duplicate=True)
        return image_response(shown, tag, 200, {"Location": shown.links.self, **headers})
    url = absolute_url(request.scope, issued.url) if issued.url.startswith("/") else issued.url
    headers |= {"Location": f"{base_path}/images/{issued.id}", "Cache-Control": "no-store"}
    return json_answer(issued.model_copy(update={"url": url}), 201, headers)


def _issue(
    services: Services, caller: Caller, owner: str, wanted: TicketRequest, key: str | None
) -> tuple[Ticket | Accepted, bool]:
    """Issue the ticket. Return it or a record, and True if the request was a repetition of a finished one."""
    quota = services.get_quota(caller, owner)
    if key is None:
        return services.tickets.issue(owner, wanted, quota=quota), False
    return services.idempotency.run(
        KeyedRequest(owner, key, Operation.TICKET, fingerprint(wanted)),
        lambda attempt: services.tickets.issue(owner, wanted, attempt, quota),
        _effect,
        lambda image, _: services.tickets.renew(image),
    )


def _effect(issued: Ticket | Accepted) -> Effect:
    duplicate = isinstance(issued, Accepted)
    return Effect(issued.image.id if isinstance(issued, Accepted) else issued.id, duplicate)


def _parse_request(members: JsonObject) -> TicketRequest:
    filename = display_name(members.text("filename"))
    declared = members.text("content_type")
    word = parse_media_type(declared) or (declared or "").strip()[:80]
    content_type = registered_type(word, filename)
    if declared is None and not content_type:
        raise missing_field("content_type", "the media type of the image, such as image/jpeg")
    return TicketRequest(
        size=members.whole_number("bytes", "the size of the image in bytes"),
        content_type=content_type,
        declared_content_type=parse_media_type(declared),
        sha256=members.sha256("sha256"),
        filename=filename,
        description=members.parse_description(),
    )


@store_router.put("/files/{key:path}")
@no_key_required
@allow_extra_query
async def put_original(key: str, request: Request, services: ServicesDep) -> Response:
    """Store the bytes of an upload ticket, as S3 does with a presigned PUT: the url says what may be written, once, and
    needs no API key. A ticket whose record is gone is refused before and after the body."""
    image_id = original_id(key)
    if image_id is None or services.local is None:
        raise refusal("file_not_found")
    add_log_fields(request.scope, image_id=image_id)
    granted = services.local.grants.granted(key, dict(request.query_params))
    granted.check(request.headers.get("content-length"), request.headers)
    await run_in_threadpool(services.uploads.check_ticket, image_id)
    async with services.spools.open(granted.bytes, granted.bytes, key=image_id) as spool:
        async for chunk in stream_body(request):
            await run_in_threadpool(spool.write, chunk)
        if spool.size != granted.bytes:
            detail = f"The body ends after {spool.size:,} of {granted.bytes:,} bytes. Send the request again."
            raise refusal("incomplete_body", detail, received_bytes=spool.size)
        granted.check_content(spool.sha256)
        kind = granted.headers["Content-Type"]
        await run_in_threadpool(
            services.uploads.store_ticket, image_id, spool.rewind(), size=spool.size, content_type=kind
        )
        add_log_fields(request.scope, image_bytes=spool.size)
    return Response(headers={"ETag": f'"{image_id}"'})
