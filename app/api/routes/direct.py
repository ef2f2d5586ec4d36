"""Pictures in by ticket: the ticket, and the object store's part where this server plays it."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from app.api.access import KeyedRoute, link, needs, open_to_all
from app.api.answers import etag, json_answer, record
from app.api.arriving import arriving
from app.api.documented import problems, shaped
from app.api.fields import ALT_CHARACTERS, TAGS, TITLE_CHARACTERS, Words, media_type_word
from app.api.json_body import unique
from app.api.notes import note
from app.api.parts import Base, Handed, Owner, SpoolsDep
from app.api.public_address import absolute
from app.api.views import ImageView, view
from app.domain.access import Scope
from app.domain.errors import Malformed, NotFound, TooLarge, UnsupportedType
from app.domain.filenames import display_name
from app.domain.keys import original_id
from app.domain.tickets import Ticket, TicketRequest
from app.domain.uploads import Accepted

router = APIRouter(tags=["uploads"], route_class=KeyedRoute)
store_router = APIRouter(include_in_schema=False, route_class=KeyedRoute)

_BODY_BYTES = 64 * 1024


class TicketBody(BaseModel):
    """What will be sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    bytes: int = Field(ge=1, description="How many bytes the picture has, exactly.")
    content_type: str = Field(
        max_length=128, description="Its media type, as it will be sent.", examples=["image/jpeg"]
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Of its bytes, in hex: finds what is here already, and holds the store to it.",
    )
    filename: str | None = Field(default=None, max_length=5000, description="Shown, never used as a path.")
    title: str | None = Field(default=None, max_length=10 * TITLE_CHARACTERS)
    alt: str | None = Field(default=None, max_length=10 * ALT_CHARACTERS)
    tags: list[str] = Field(default_factory=list, max_length=10 * TAGS)


_REQUEST = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/TicketBody"},
                "example": {"filename": "photo.jpg", "content_type": "image/jpeg", "bytes": 1378236},
            }
        },
    }
}


@router.post(
    "/upload/direct",
    operation_id="ask_for_ticket",
    summary="Ask for a ticket to upload straight to the store",
    status_code=201,
    response_description="Send the bytes as the ticket says; the picture is then developed by itself",
    openapi_extra=_REQUEST,
    responses={
        201: shaped(Ticket),
        200: shaped(ImageView, "These bytes are here already: their record, with `duplicate: true`"),
        **problems(
            "foreign_origin", "incomplete_body", "bad_json", "duplicate_field", "request_timeout", "body_too_large",
            "too_large", "unsupported_type", "unsupported_body", "invalid_request", "too_long", "too_many_tickets",
            "storage_full",
        ),
    },
)  # fmt: skip
@needs(Scope.UPLOAD)
async def ask_for_ticket(request: Request, parts: Handed, owner: Owner, base: Base) -> Response:
    """For pictures larger than `max_upload_bytes`, or to spare this service their bytes.

    Send them with the ticket's method to its url, with exactly its headers; the store refuses another length, another
    type, other bytes than `sha256` says, and a second time. Then `GET /images/{id}?wait=20`. Until the bytes have come
    the record is in no list.
    """
    body = await _ticket_body(request)
    words = Words.of(body.title, body.alt, body.tags)
    wanted = TicketRequest(
        bytes=body.bytes,
        content_type=media_type_word(body.content_type) or body.content_type[:80],
        sha256=body.sha256,
        filename=display_name(body.filename),
        title=words.title,
        alt=words.alt,
        tags=words.tags,
    )
    assert parts.tickets is not None  # noqa: S101 - without them there is no such route
    issued = await run_in_threadpool(parts.tickets.issue, owner, wanted)
    note(request.scope, image_id=issued.image.id if isinstance(issued, Accepted) else issued.id)
    if isinstance(issued, Accepted):
        tag = etag(issued.image, parts.urls)
        shown = view(issued.image, parts.urls, base, duplicate=True)
        return record(shown, tag, 200, {"Location": shown.links.self})
    url = absolute(request.scope, issued.url) if issued.url.startswith("/") else issued.url
    headers = {"Location": f"{base}/images/{issued.id}", "Cache-Control": "no-store"}
    return json_answer(issued.model_copy(update={"url": url}), 201, headers)


async def _ticket_body(request: Request) -> TicketBody:
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form != "application/json":
        accepted = ["application/json"]
        raise UnsupportedType("unsupported_body", "Send application/json.", found=form[:80] or None, accepted=accepted)
    body = b""
    async for chunk in arriving(request):
        body += chunk
        if len(body) > _BODY_BYTES:
            detail = f"The body is larger than {_BODY_BYTES:,} bytes."
            raise TooLarge("body_too_large", detail, limit_bytes=_BODY_BYTES, received_bytes=len(body))
    try:
        wanted = TicketBody.model_validate_json(body)
    except ValidationError as error:
        complaints: list[Any] = error.errors(include_url=False)
        if complaints[0]["type"] == "json_invalid":
            raise Malformed("bad_json", "The body is not JSON.") from None
        raise RequestValidationError(complaints) from None
    json.loads(body, object_pairs_hook=unique)  # of a field that is there twice the model has seen the last
    return wanted


@store_router.put("/files/{key:path}")
@open_to_all
@link
async def put_original(key: str, request: Request, parts: Handed, spools: SpoolsDep) -> Response:
    """Store the bytes of an upload ticket, as S3 does with a presigned PUT: the url says what may be written, and
    whoever has it may write that once. A ticket whose record is gone is refused before and after the body."""
    image_id = original_id(key)
    if image_id is None or parts.local is None:
        raise NotFound("file_not_found", "There is no such file.")
    note(request.scope, image_id=image_id)
    granted = parts.local.grants.granted(key, dict(request.query_params))
    granted.check(request.headers.get("content-length"), request.headers)
    await run_in_threadpool(parts.uploads.check_ticket, image_id)
    async with spools.open(granted.bytes, granted.bytes, key=image_id) as spool:
        async for chunk in arriving(request):
            await run_in_threadpool(spool.write, chunk)
        if spool.size != granted.bytes:
            raise Malformed("incomplete_body", "The body ends early.", received_bytes=spool.size)
        granted.check_content(spool.sha256)
        kind = granted.headers["Content-Type"]
        await run_in_threadpool(
            parts.uploads.store_ticket, image_id, spool.rewound(), size=spool.size, content_type=kind
        )
    return Response(headers={"ETag": f'"{image_id}"'})
