"""Requests to store an image, and the records that they begin with."""

from datetime import timedelta
from typing import BinaryIO, NamedTuple

from app.domain.ids import new_id
from app.domain.models import Image, Visibility, utcnow
from app.domain.uploads.descriptions import NO_DESCRIPTION, Description


class Upload(NamedTuple):
    """Received image. `body` can be rewound; `content_type` was detected from the bytes."""

    body: BinaryIO
    size: int
    sha256: str
    content_type: str
    filename: str | None = None
    declared_content_type: str | None = None
    description: Description = NO_DESCRIPTION
    source_url: str | None = None


class UrlRequest(NamedTuple):
    """The upload of an image that the service fetches from `url`."""

    url: str
    filename: str | None = None
    declared_content_type: str | None = None
    description: Description = NO_DESCRIPTION


class TicketRequest(NamedTuple):
    """The upload that a client announces: the store accepts `size` bytes of `content_type` only.

    `declared_content_type` is the type as the client wrote it, stored for display.
    """

    size: int
    content_type: str
    declared_content_type: str | None = None
    sha256: str | None = None
    filename: str | None = None
    description: Description = NO_DESCRIPTION


class Attempt(NamedTuple):
    """An attempt at a request: the id that a new record gets, and True if an earlier attempt may have written it."""

    image_id: str | None = None
    is_retry: bool = False


FIRST_ATTEMPT = Attempt()

#: Fields of a record that come from the request.
REQUESTED = (
    "owner", "filename", "content_type", "declared_content_type", "bytes", "sha256", "title", "alt", "tags", "metadata",
    "focal_point", "visibility",
)  # fmt: skip


def new_record(
    owner: str,
    request: Upload | TicketRequest,
    default_visibility: Visibility,
    *,
    image_id: str | None = None,
    life: timedelta | None = None,
) -> Image:
    """Build the `pending` record of a new image. The record of a ticket expires after `life`."""
    now = utcnow()
    described = request.description
    return Image(
        id=image_id or new_id(),
        owner=owner,
        filename=request.filename,
        content_type=request.content_type,
        declared_content_type=request.declared_content_type,
        source_url=request.source_url if isinstance(request, Upload) else None,
        bytes=request.size,
        sha256=request.sha256,
        title=described.title,
        alt=described.alt,
        tags=list(described.tags),
        metadata=dict(described.metadata),
        focal_point=described.focal_point,
        visibility=described.visibility or default_visibility,
        uploaded_at=now,
        updated_at=now,
        upload_expires_at=None if life is None else now + life,
    )
