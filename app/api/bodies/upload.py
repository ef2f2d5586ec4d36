"""Read the body of an upload, in any of its forms, into an `Upload`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError

from app.api.bodies.json_form import JsonBody
from app.api.bodies.multipart import MultipartBody
from app.api.bodies.raw import RawBody, unsupported_body
from app.api.bodies.reader import BodyReader, Received
from app.api.bodies.spool import Spool, Spools, too_large
from app.api.http.body_stream import announced_length, arriving
from app.api.http.content_type import is_raw
from app.api.http.form_fields import text_field
from app.domain.errors import Malformed, TooLarge, UnsupportedType
from app.domain.limits import Limits
from app.domain.media import media_type_of
from app.domain.other_formats import NAMING_BYTES, unsupported_type
from app.domain.uploads.filenames import display_name
from app.domain.uploads.service import Upload


@dataclass(frozen=True)
class ReceivedUpload:
    """An upload, and the names of fields that were sent along and are not known."""

    upload: Upload
    ignored_fields: tuple[str, ...]


@asynccontextmanager
async def upload_in(request: Request, limits: Limits, spools: Spools) -> AsyncIterator[ReceivedUpload]:
    """Read the request's body to its end; the upload's bytes last as long as the context.

    Raises a `RequestError` as soon as it is clear that the body cannot be accepted, without reading on, and
    `ClientDisconnect` if it never ends.
    """
    async with spools.open(limits.max_upload_bytes, announced_length(request)) as spool:
        try:
            reader = _reader(request, spool, limits.max_upload_bytes)
            await _read(request, reader, spool, limits.max_upload_bytes)
            received = await run_in_threadpool(reader.finish)
            upload = await run_in_threadpool(_upload, received, spool, limits)
        except TooLarge as refusal:
            raise _showing_the_way(refusal, request, limits) from None
        yield ReceivedUpload(upload, received.ignored)


def _showing_the_way(refusal: TooLarge, request: Request, limits: Limits) -> TooLarge:
    """Name the direct upload in a refusal for size, where that accepts larger images."""
    if refusal.code not in {"too_large", "body_too_large"} or limits.max_direct_bytes <= limits.max_upload_bytes:
        return refusal
    way: dict[str, Any] = {
        "direct_upload": f"{request.scope.get('root_path', '')}/upload/direct",
        "max_direct_bytes": limits.max_direct_bytes,
    }
    detail = f"{refusal.detail} Up to {limits.max_direct_bytes:,} go by direct upload."
    return TooLarge(refusal.code, detail, **refusal.extra, **way)


def _reader(request: Request, spool: Spool, limit: int) -> BodyReader:
    """Choose the reader by the content type. Raises `UnsupportedType`."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        detail = "The body is compressed. Send the image as it is, without a Content-Encoding."
        raise UnsupportedType("unsupported_encoding", detail, found=encoding[:40], accepted=["identity"])
    content_type = request.headers.get("content-type", "")
    form = content_type.partition(";")[0].strip().lower()
    if is_raw(content_type):
        return RawBody(request, spool, limit)
    if form not in {"multipart/form-data", "application/json"}:
        raise unsupported_body(content_type)
    _check_no_fields(request)
    return JsonBody(spool, limit) if form == "application/json" else MultipartBody(content_type, spool, limit)


def _check_no_fields(request: Request) -> None:
    """Refuse fields in the query of a form or of JSON, which have room for them: one value must not hide another."""
    names = [name for name in request.query_params if name == "filename" or text_field(name)]
    if names:
        why = "Send it in the body; the query is for raw bodies"
        complaints: list[Any] = [{"type": "misplaced", "loc": ("query", name), "msg": why} for name in names]
        raise RequestValidationError(complaints)


async def _read(request: Request, reader: BodyReader, spool: Spool, limit: int) -> None:
    declared = _declared_length(request)
    received = 0
    _check_size(reader, limit, declared, received)
    async for chunk in arriving(request):
        received += len(chunk)
        _check_size(reader, limit, declared, received)
        if spool.may_block(len(chunk)):  # it goes to the disk, which may take its time
            await run_in_threadpool(reader.feed, chunk)
        else:
            reader.feed(chunk)
        spool.count_fields(reader.kept_bytes)
        _check_size(reader, limit, declared, received)


def _declared_length(request: Request) -> int | None:
    declared = request.headers.get("content-length")
    if declared is None:
        return None
    if not (declared.isascii() and declared.isdigit() and len(declared) < 20):
        raise Malformed("bad_length", "The Content-Length is not a number of bytes.")
    return int(declared)


def _check_size(reader: BodyReader, limit: int, declared: int | None, received: int) -> None:
    if declared is not None and declared > reader.max_bytes:
        raise too_large(limit, declared_bytes=declared)
    if received > reader.max_bytes:
        detail = f"The body is larger than {reader.max_bytes:,} bytes."
        raise TooLarge("body_too_large", detail, limit_bytes=reader.max_bytes, received_bytes=received)


def _upload(received: Received, spool: Spool, limits: Limits) -> Upload:
    body = spool.rewound()
    found = media_type_of(spool.head)
    if found is None or found not in limits.accepted_types:
        raise unsupported_type(body.read(NAMING_BYTES), found, limits.accepted_types)
    return Upload(
        body=body,
        size=spool.size,
        sha256=spool.sha256,
        content_type=found,
        filename=display_name(received.filename),
        declared_content_type=received.declared_content_type,
        title=received.words.title,
        alt=received.words.alt,
        tags=received.words.tags,
    )
