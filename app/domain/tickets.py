"""Tickets: permission to send one original straight to the object store."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from app.domain.errors import TooLarge, UnsupportedType
from app.domain.ids import new_id
from app.domain.limits import Limits
from app.domain.models import Image, Model, Status, utcnow
from app.domain.ports import ImageRepository
from app.domain.uploads import Accepted

#: How long a ticket is good for.
TICKET_LIFE = timedelta(minutes=5)
#: How long the record of a ticket that was not used is kept at most, should nobody tidy up before.
RECORD_LIFE = timedelta(days=15)


@dataclass(frozen=True)
class TicketRequest:
    """What a client says that it will send: `bytes` and `content_type` are then all that the store takes."""

    bytes: int
    content_type: str
    sha256: str | None = None
    filename: str | None = None
    title: str | None = None
    alt: str | None = None
    tags: tuple[str, ...] = ()


class Ticket(Model):
    """Send the bytes with this method to this url with exactly these headers, before `expires_at`."""

    id: str
    method: str = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: datetime


class GrantSource(Protocol):
    """Makes urls that take one write of one original.

    The store itself refuses another length, type or content than granted, a second write, and one that comes late.
    """

    def grant(self, image: Image, life: timedelta) -> tuple[str, dict[str, str]]:
        """The url and the headers to send with it."""


class Tickets:
    """Gives out tickets. The event of the store alone completes one; there is no call for it."""

    def __init__(self, images: ImageRepository, grants: GrantSource, limits: Limits) -> None:
        self._images = images
        self._grants = grants
        self._limits = limits

    def issue(self, owner: str, request: TicketRequest) -> Ticket | Accepted:
        """A ticket and its `pending` record, or the record that these bytes have when it is `ready`.

        Nothing is listed before the bytes have come. Raises `TooLarge` and `UnsupportedType` before any byte does.
        """
        self._check(request)
        existing = self._existing(owner, request.sha256)
        if existing:
            return Accepted(existing, duplicate=True)
        now = utcnow()
        image = Image(
            id=new_id(),
            owner=owner,
            filename=request.filename,
            content_type=request.content_type,
            declared_type=request.content_type,
            bytes=request.bytes,
            sha256=request.sha256,
            title=request.title,
            alt=request.alt,
            tags=list(request.tags),
            uploaded_at=now,
            updated_at=now,
            expires_at=now + RECORD_LIFE,
        )
        url, headers = self._grants.grant(image, TICKET_LIFE)
        self._images.create(image, claim=False)
        return Ticket(id=image.id, url=url, headers=headers, expires_at=now + TICKET_LIFE)

    def _check(self, request: TicketRequest) -> None:
        limit = self._limits.max_direct_bytes
        if request.bytes > limit:
            detail = f"The picture is larger than {limit:,} bytes."
            raise TooLarge("too_large", detail, limit_bytes=limit, declared_bytes=request.bytes)
        if request.content_type not in self._limits.accepted_types:
            raise UnsupportedType(
                "unsupported_type",
                f"Pictures of type {request.content_type!a} are not taken.",
                found=request.content_type,
                accepted=list(self._limits.accepted_types),
            )

    def _existing(self, owner: str, sha256: str | None) -> Image | None:
        image_id = self._images.find_hash(owner, sha256) if sha256 else None
        found = self._images.get(image_id) if image_id else None
        ready = isinstance(found, Image) and found.owner == owner and found.status is Status.READY
        return found if ready and isinstance(found, Image) else None
