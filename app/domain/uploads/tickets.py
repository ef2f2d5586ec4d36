"""Tickets: permission to send one original straight to the object store."""

import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import ConfigDict
from pydantic.config import JsonDict

from app.domain.errors import AlreadyExists, HashTaken, Stale, TooLarge, TooManyRequests, Unavailable
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.models import Image, Model, Status, Visibility, is_open_ticket, utcnow
from app.domain.other_formats import refused_type
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.quota.admission import create_within
from app.domain.quota.usage import NO_QUOTA, Quota
from app.domain.uploads.requests import FIRST_ATTEMPT, REQUESTED, Attempt, TicketRequest, new_record
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
#: Attempts to issue a ticket while requests for the same bytes are doing so.
_ATTEMPTS = 8


_EXAMPLE: JsonDict = {
    "id": "01a21211-8a9b-7bc8-801b-cadcca2023b7",
    "method": "PUT",
    "url": "http://127.0.0.1:8000/files/originals/01a21211-8a9b-7bc8-801b-cadcca2023b7?bytes=1378236"
    "&type=image%2Fjpeg&expires=1795600969&signature=da1c4e3d.mR_ekLivfr9VG7dlkXR2eg",
    "headers": {"Content-Type": "image/jpeg"},
    "expires_at": "2026-11-25T10:02:49Z",
}


class Ticket(Model, defer_build=True):
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

    def issue(
        self, owner: str, request: TicketRequest, attempt: Attempt = FIRST_ATTEMPT, quota: Quota = NO_QUOTA
    ) -> Ticket | Accepted:
        """Return a ticket and write its `pending` record, or return the record of these bytes if they are `ready`.

        The same request again returns the same ticket, if it names the hash of the bytes: see `_find_live`. Nothing is
        listed before the bytes have come. Raises `TooLarge` and `UnsupportedType` before any byte is sent, and
        `TooManyRequests` for an owner with too many open tickets, and `StorageFull` for one whose quota is used up.
        """
        self._check(request)
        typed = request._replace(declared_content_type=request.declared_content_type or request.content_type)
        is_retry = attempt.is_retry
        for _ in range(_ATTEMPTS):
            # Before the look for a ready image, so that no image is missed that becomes ready between the two.
            replaces = self._images.find_ticket(owner, request.sha256) if request.sha256 else None
            if existing := self._existing(owner, request.sha256):
                return Accepted(existing, duplicate=True)
            image = new_record(owner, typed, self._default_visibility, image_id=attempt.image_id, life=RECORD_LIFE)
            written = self._images.get(image.id) if is_retry else None
            try:
                if isinstance(written, Image):
                    return self.renew(written)
                if replaces and (live := self._find_live(replaces, image)):
                    return self.renew(live)
                if replaces and (existing := self._existing(owner, image.sha256)):  # it has just become ready
                    return Accepted(existing, duplicate=True)
                self._check_open(owner)
                create_within(self._images, image, quota, claim=image.sha256 is not None, replaces=replaces)
            except AlreadyExists:
                is_retry = True  # a retry of this attempt was first, because this one is late
            except (HashTaken, Stale):  # a request for the same bytes was first, or the ticket has just been used
                continue
            else:
                return self._build(image)
        raise Unavailable("Too many requests ask for a ticket for these bytes at once. Try again.")

    def renew(self, image: Image) -> Ticket | Accepted:
        """Return the ticket of a record with a new url, or the record if its bytes have arrived.

        The record waits for the bytes for half of its lifetime at least. Raises `Stale` if it has changed since it was
        read.
        """
        arrived = self._arrived(image) if is_open_ticket(image) else image
        if arrived is not None:
            return Accepted(arrived, duplicate=True)
        now = utcnow()
        if image.upload_expires_at is not None and image.upload_expires_at < now + RECORD_LIFE / 2:
            image = self._images.update(image.id, image.version, {"upload_expires_at": now + RECORD_LIFE})
        return self._build(image)

    def _build(self, image: Image) -> Ticket:
        expires_at = utcnow() + TICKET_LIFE
        url, headers = self._grants.grant(image, TICKET_LIFE)
        return Ticket(id=image.id, url=url, headers=headers, expires_at=expires_at)

    def _find_live(self, image_id: str, wanted: Image) -> Image | None:
        """Return the record of this ticket if it was given for the same request as `wanted` and is not processed yet.

        So a client that has lost the response, or a second one that sends the same file, gets the same ticket, which
        does not count again.
        """
        found = self._images.get(image_id)
        if not isinstance(found, Image) or found.status is not Status.PENDING or found.trashed_at is not None:
            return None
        same = all(getattr(found, name) == getattr(wanted, name) for name in REQUESTED)
        return found if same and found.upload_expires_at is not None else None

    def _check(self, request: TicketRequest) -> None:
        limit = self._limits.max_direct_bytes
        if request.size > limit:
            detail = f"The image has {request.size:,} bytes; the limit is {limit:,} (DARKROOM_MAX_UPLOAD_BYTES)."
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
        with suppress(Stale):  # it has just been processed
            return self._arrived(found) is not None
        return True

    def _arrived(self, image: Image) -> Image | None:
        """Look for the bytes of an open ticket. If they have arrived, mark and return its record: it is not open."""
        if self._store is None or self._store.stat(original_key(image.id)) is None:
            return None
        return self._images.update(image.id, image.version, {"arrived_at": utcnow()})

    def _existing(self, owner: str, sha256: str | None) -> Image | None:
        """Return the `ready` record of these bytes, or else a copy of it, that is not in the trash."""
        image_id = self._images.find_hash(owner, sha256) if sha256 else None
        if sha256 is None or image_id is None:
            return None
        found = self._ready(owner, image_id)
        if found is None:
            copies = self._images.find_copies(owner, [sha256]).get(sha256, ())
            found = next(filter(None, (self._ready(owner, copy) for copy in copies)), None)
        return found

    def _ready(self, owner: str, image_id: str) -> Image | None:
        found = self._images.get(image_id)
        if not isinstance(found, Image) or found.owner != owner or found.trashed_at is not None:
            return None
        return found if found.status is Status.READY else None
