"""Pictures in by ticket: the ticket, and the object store's part where this server plays it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from app.api.bodies.field_schemas import DESCRIPTION_FIELDS, FILENAME
from app.api.dependencies import Base, Handed, Owner, SpoolsDep
from app.api.http.access import KeyedRoute, link, needs, open_to_all
from app.api.http.body_stream import arriving
from app.api.http.json_object import JsonObject
from app.api.http.log_fields import note
from app.api.http.problem_examples import problems, shaped
from app.api.http.public_address import absolute
from app.api.views.image import ImageView, view
from app.api.views.responses import etag, json_answer, record
from app.domain.access.api_keys import Scope
from app.domain.errors import Invalid, Malformed, NotFound, TooLarge, UnsupportedType
from app.domain.keys import original_id
from app.domain.media import registered_type
from app.domain.uploads.descriptions import NAMES, media_type_word
from app.domain.uploads.filenames import display_name
from app.domain.uploads.service import Accepted
from app.domain.uploads.tickets import Ticket, TicketRequest

router = APIRouter(tags=["uploads"], route_class=KeyedRoute)
store_router = APIRouter(include_in_schema=False, route_class=KeyedRoute)

_BODY_BYTES = 64 * 1024


_KNOWN = ("bytes", "content_type", "sha256", "filename", *NAMES)

#: The body of a request for a ticket. Its rules are those of an upload's JSON.
TICKET_BODY: dict[str, Any] = {
    "type": "object",
    "title": "TicketBody",
    "description": "The image that will be sent.",
    "required": ["bytes", "content_type"],
    "additionalProperties": False,
    "properties": {
        "bytes": {"type": "integer", "minimum": 1, "description": "The exact size of the image in bytes."},
        "content_type": {
            "type": "string",
            "description": "The media type of the image. Without one, or with `application/octet-stream`, that of the "
            "file name's extension counts.",
            "examples": ["image/jpeg"],
        },
        "sha256": {
            "type": "string",
            "pattern": "^[0-9A-Fa-f]{64}$",
            "description": "Of its bytes, in hexadecimal digits: finds an image that is stored already, and the store "
            "then accepts these bytes only.",
        },
        "filename": FILENAME,
        **DESCRIPTION_FIELDS,
    },
}
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
    response_description="Send the bytes as the ticket says; the image is then processed without another call",
    openapi_extra=_REQUEST,
    responses={
        201: shaped(Ticket),
        200: shaped(ImageView, "These bytes are here already: their record, with `duplicate: true`"),
        **problems(
            "incomplete_body", "empty_body", "bad_json", "too_deep", "duplicate_field",
            "request_timeout", "body_too_large", "too_large", "unsupported_type", "unsupported_body", "unknown_field",
            "missing_field", "wrong_type", "out_of_range", "bad_sha256", "control_character", "too_long",
            "invalid_request", "too_many_tickets", "storage_full",
        ),
    },
)  # fmt: skip
@needs(Scope.UPLOAD)
async def ask_for_ticket(request: Request, parts: Handed, owner: Owner, base: Base) -> Response:
    """Ask for a ticket for an image larger than `max_upload_bytes`, or to keep its bytes away from this service.

    Send them with the ticket's method to its url, with exactly its headers; the store refuses another length, another
    type, other bytes than `sha256` says, and a second time. Then `GET /images/{id}?wait=20`. Until the bytes have come
    the record is in no list.
    """
    wanted = await _ticket_request(request)
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


async def _ticket_request(request: Request) -> TicketRequest:
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
    members = JsonObject.parse(body, _KNOWN)
    words = members.words()
    filename = display_name(members.text("filename"))
    declared = members.text("content_type")
    word = media_type_word(declared) or (declared or "").strip()[:80]
    content_type = registered_type(word, filename)
    if declared is None and not content_type:
        detail = "`content_type` is required: the media type of the image, such as image/jpeg."
        raise Invalid("missing_field", detail, field="content_type")
    return TicketRequest(
        bytes=members.whole_number("bytes", "the size of the image in bytes"),
        content_type=content_type,
        declared_content_type=media_type_word(declared),
        sha256=members.sha256("sha256"),
        filename=filename,
        title=words.title,
        alt=words.alt,
        tags=words.tags,
    )


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
