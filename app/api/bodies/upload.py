"""Reading of upload bodies of all types into an `Upload`."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError

from app.api.bodies.json_form import JsonBody
from app.api.bodies.multipart import MultipartBody
from app.api.bodies.raw import RawBody, unsupported_body
from app.api.bodies.reader import BodyReader
from app.api.bodies.spool import Spool, Spools, too_large
from app.api.http.body_stream import declared_length, stream_body
from app.api.http.content_type import is_raw
from app.api.http.form_fields import resolve_field
from app.api.http.problem_catalog import refusal
from app.domain.access.api_keys import Caller
from app.domain.errors import RequestError, TooLarge
from app.domain.limits import MEBIBYTE, Limits
from app.domain.media import media_type_of
from app.domain.other_formats import NAMING_BYTES, unsupported_type
from app.domain.uploads.descriptions import Description
from app.domain.uploads.filenames import display_name
from app.domain.uploads.requests import Upload, UrlRequest

#: Bytes and chunks that wait until a thread parses, hashes and writes them together. Fewer bytes wait while many
#: uploads are open.
BATCH_BYTES = 2 * MEBIBYTE
BATCH_CHUNKS = 64
#: First bytes of a body, which do not wait: they tell most of what is refused before the rest has come.
FIRST_BYTES = 64 * 1024


class ReceivedUpload(NamedTuple):
    """Upload, the owner of the image, and the names of unknown fields."""

    upload: Upload
    owner: str
    ignored_fields: tuple[str, ...]


class RequestedUpload(NamedTuple):
    """Upload whose image is still at a url, and the owner of the image."""

    request: UrlRequest
    owner: str


#: Parses the rest of a body and returns the upload. It may wait for the disk, and raises a `RequestError`.
Complete = Callable[[], ReceivedUpload | RequestedUpload]


@asynccontextmanager
async def receive_upload(request: Request, caller: Caller, limits: Limits, spools: Spools) -> AsyncIterator[Complete]:
    """Read the request's body to its end; the bytes of the upload are kept until the context ends.

    Raises a `RequestError` as soon as the body is known to be unacceptable, without reading on, and `ClientDisconnect`
    if the connection closes before its end.
    """
    async with spools.open(limits.max_upload_bytes, declared_length(request) or 0) as spool:
        with _naming_direct_upload(request, limits):
            reader = _choose_reader(request, spool, limits)
            if isinstance(reader, JsonBody):
                spools.check_fields(min(declared_length(request) or 0, reader.max_bytes))
            feed_rest = await _read(request, reader, spool, limits.max_upload_bytes)

        def complete() -> ReceivedUpload | RequestedUpload:
            with _naming_direct_upload(request, limits):
                feed_rest()
                fields = reader.finish()
                owner = caller.upload_owner(fields.owner)
                if fields.url is not None:
                    name = display_name(fields.filename)
                    wanted = UrlRequest(fields.url, name, fields.declared_content_type, fields.description)
                    return RequestedUpload(wanted, owner)
                return ReceivedUpload(
                    build_upload(
                        spool,
                        limits,
                        filename=display_name(fields.filename),
                        declared_content_type=fields.declared_content_type,
                        description=fields.description,
                    ),
                    owner,
                    fields.ignored,
                )

        yield complete


@contextmanager
def _naming_direct_upload(request: Request, limits: Limits) -> Iterator[None]:
    try:
        yield
    except TooLarge as error:
        raise _with_direct_upload(error, request, limits) from None


def _with_direct_upload(error: TooLarge, request: Request, limits: Limits) -> RequestError:
    """Add the limit of direct uploads to the error, if it is higher."""
    limit = min(limits.max_upload_bytes, error.extra["limit_bytes"])
    if error.code == "fields_too_large" or limits.max_direct_bytes <= limit:
        return error
    path = f"{request.scope.get('root_path', '')}/upload/direct"
    detail = f"{error.detail} Use an upload ticket for up to {limits.max_direct_bytes:,} bytes: POST {path}."
    direct = {"direct_upload": path, "max_direct_bytes": limits.max_direct_bytes}
    return refusal(error.code, detail, **error.extra, **direct)


def _choose_reader(request: Request, spool: Spool, limits: Limits) -> BodyReader:
    """Choose the reader by the content type. Raises `UnsupportedType`."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise refusal("unsupported_encoding", found=encoding[:40], accepted=["identity"])
    content_type = request.headers.get("content-type", "")
    form = content_type.partition(";")[0].strip().lower()
    if is_raw(content_type):
        return RawBody(request, spool, limits.max_upload_bytes)
    if form not in {"multipart/form-data", "application/json"}:
        raise unsupported_body(content_type)
    _check_no_fields(request)
    if form == "application/json":
        return JsonBody(spool, limits.max_json_bytes)
    return MultipartBody(content_type, spool, limits.max_upload_bytes)


def _check_no_fields(request: Request) -> None:
    """Refuse fields in the query of a form or of JSON: a field in the body may have another value."""
    names = [name for name in request.query_params if name == "filename" or resolve_field(name)]
    if names:
        why = "Send it in the body; only raw bodies use the query"
        complaints: list[Any] = [{"type": "misplaced", "loc": ("query", name), "msg": why} for name in names]
        raise RequestValidationError(complaints)


async def _read(request: Request, reader: BodyReader, spool: Spool, limit: int) -> Callable[[], None]:
    """Feed the body to the reader. Steps that may wait for the disk run in a thread. Return what feeds the rest."""
    declared = declared_length(request)
    received = taken = 0
    waiting: list[bytes] = []
    _check_size(reader, limit, declared, received)

    def feed() -> None:
        for chunk in waiting:
            reader.feed(chunk)
        waiting.clear()
        spool.count_fields(reader.kept_bytes)
        _check_size(reader, limit, declared, received)

    async for chunk in stream_body(request):
        received += len(chunk)
        _check_size(reader, limit, declared, received)
        waiting.append(chunk)
        if not spool.may_block(received - taken):
            feed()
        elif (
            taken < FIRST_BYTES
            or received > limit  # the image may be too large already
            or received - taken >= min(BATCH_BYTES, spool.fair_share)
            or len(waiting) >= BATCH_CHUNKS
        ):
            await run_in_threadpool(feed)
        else:
            continue
        taken = received
    return feed


def _check_size(reader: BodyReader, limit: int, declared: int | None, received: int) -> None:
    is_declared = declared is not None and declared > reader.max_bytes
    if isinstance(reader, JsonBody) and (is_declared or received > reader.max_bytes):
        raise reader.too_large(declared, received)
    if is_declared:
        raise too_large(limit, declared_bytes=declared)
    if received > reader.max_bytes:
        raise refusal("body_too_large", limit_bytes=reader.max_bytes, received_bytes=received)


def build_upload(
    spool: Spool,
    limits: Limits,
    *,
    filename: str | None,
    declared_content_type: str | None,
    description: Description,
    source_url: str | None = None,
) -> Upload:
    """Build the upload of received bytes. Raises `UnsupportedType` if their type is not accepted."""
    found = detect_type(spool, limits)
    return Upload(
        body=spool.rewind(),
        size=spool.size,
        sha256=spool.sha256,
        content_type=found,
        filename=filename,
        declared_content_type=declared_content_type,
        description=description,
        source_url=source_url,
    )


def detect_type(spool: Spool, limits: Limits) -> str:
    """Return the media type of the bytes. Raises `UnsupportedType` if it is not accepted."""
    found = media_type_of(spool.head)
    if found is None or found not in limits.accepted_types:
        raise unsupported_type(spool.rewind().read(NAMING_BYTES), found, limits.accepted_types)
    return found
