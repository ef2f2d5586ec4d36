"""Tickets: permission to send one original straight to the object store."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import ConfigDict
from pydantic.config import JsonDict

from app.domain.errors import Stale, TooLarge, TooManyRequests
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.models import Image, Model, Status, Visibility, is_open_ticket, utcnow
from app.domain.other_formats import refused_type
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.uploads.requests import TicketRequest, new_record
from app.domain.uploads.service import Accepted

#: How long a ticket's url is valid: the upload has to begin within this time.
TICKET_LIFE = timedelta(minutes=5)
#: How long the record of a ticket waits for its bytes, far above the time that any upload takes: S3 checks the url when
#: an upload begins and sets no bound to its end.
RECORD_LIFE = timedelta(hours=24)
#: Seconds after which a caller with too many open tickets should try again.
RETRY_SECONDS = 60
#: Open tickets whose bytes are looked for when an owner has too many.
_LOOKED_AT = 8


_EXAMPLE: JsonDict = {
    "id": "01a21211-8a9b-7bc8-801b-cadcca2023b7",
    "method": "PUT",
    "url": "http://127.0.0.1:8000/files/originals/01a21211-8a9b-7bc8-801b-cadcca2023b7?bytes=1378236"
    "&type=image%2Fjpeg&expires=1795600969&signature=da1c4e3d.mR_ekLivfr9VG7dlkXR2eg",
    "headers": {"Content-Type": "image/jpeg"},
    "expires_at": "2026-11-25T10:02:49Z",
}


class Ticket(Model):
    """Send the bytes with this method to this url with exactly these headers, before `expires_at`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    method: str = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: datetime


class GrantSource(Protocol):
    """Creates urls that accept one write of one original.

    The store refuses another length, type or content than granted, a second write, and a late one.
    """

    def grant(self, image: Image, life: timedelta) -> tuple[str, dict[str, str]]:
        """Return the url, and the headers to send with it."""


class Tickets:
    """Gives out tickets. The event of the store alone completes one; there is no call for it."""

    def __init__(
        self,
        images: ImageRepository,
        grants: GrantSource,
        limits: Limits,
        store: ObjectStore | None = None,
        *,
        default_visibility: Visibility = Visibility.PRIVATE,
    ) -> None:
        self._images = images
        self._grants = grants
        self._limits = limits
        self._store = store
        self._default_visibility = default_visibility

    def issue(self, owner: str, request: TicketRequest) -> Ticket | Accepted:
        """Return a ticket and write its `pending` record, or return the record of these bytes if they are `ready`.

        Nothing is listed before the bytes have come. Raises `TooLarge` and `UnsupportedType` before any byte is sent,
        and `TooManyRequests` for an owner with too many open tickets.
        """
        self._check(request)
        existing = self._existing(owner, request.sha256)
        if existing:
            return Accepted(existing, duplicate=True)
        self._check_open(owner)
        typed = replace(request, declared_content_type=request.declared_content_type or request.content_type)
        image = new_record(owner, typed, self._default_visibility, life=RECORD_LIFE)
        url, headers = self._grants.grant(image, TICKET_LIFE)
        self._images.create(image, claim=False)
        return Ticket(id=image.id, url=url, headers=headers, expires_at=image.uploaded_at + TICKET_LIFE)

    def _check(self, request: TicketRequest) -> None:
        limit = self._limits.max_direct_bytes
        if request.size > limit:
            detail = f"The image is larger than {limit:,} bytes."
            raise TooLarge("too_large", detail, limit_bytes=limit, declared_bytes=request.size)
        if request.content_type not in self._limits.accepted_types:
            found = f"found: {request.content_type!a}"
            raise refused_type(found, request.content_type, self._limits.accepted_types)

    def _check_open(self, owner: str) -> None:
        limit = self._limits.max_open_tickets
        open_tickets = self._images.open_tickets(owner, limit)
        if len(open_tickets) >= limit and not self._any_arrived(open_tickets):
            hours = RECORD_LIFE // timedelta(hours=1)
            raise TooManyRequests(
                "too_many_tickets",
                f"{limit:,} upload tickets of this owner are open, which is the limit. Send their images, delete "
                f"unused tickets (DELETE /images/{{id}}), or wait: an unused ticket is removed after {hours} hours.",
                retry_after=RETRY_SECONDS,
                limit=limit,
            )

    def _any_arrived(self, image_ids: Sequence[str]) -> bool:
        """Look for the bytes of a random sample of open tickets, because only the queue learns of bytes in a bucket.

        So tickets that are used stop counting soon, even if the queue is long.
        """
        sample = random.sample(image_ids, min(_LOOKED_AT, len(image_ids)))
        return sum(map(self._has_arrived, sample)) > 0  # each of them is marked

    def _has_arrived(self, image_id: str) -> bool:
        found = self._images.get(image_id)
        if not isinstance(found, Image) or not is_open_ticket(found):
            return True  # the index lags
        if self._store is None or self._store.stat(original_key(image_id)) is None:
            return False
        with suppress(Stale):  # it has just been processed
            self._images.update(image_id, found.version, {"arrived_at": utcnow()})
        return True

    def _existing(self, owner: str, sha256: str | None) -> Image | None:
        image_id = self._images.find_hash(owner, sha256) if sha256 else None
        found = self._images.get(image_id) if image_id else None
        ready = isinstance(found, Image) and found.owner == owner and found.status is Status.READY
        return found if ready and isinstance(found, Image) else None
