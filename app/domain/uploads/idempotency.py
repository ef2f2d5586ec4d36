"""Idempotency keys: a request that is repeated with its key has the effect of one request.

The rules are those of the IETF draft "The Idempotency-Key HTTP Header Field". Like Stripe's API, this service remembers
a key for a day and remembers successes only: after a refusal the key can be used again. A repetition is answered from
the record as it is then, so no response is stored.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from pydantic import AwareDatetime

from app.domain.errors import Conflict, Gone, Invalid, KeepsChanging, PortError, RequestError, Stale
from app.domain.ids import new_id
from app.domain.models import Image, Model, Tombstone, utcnow
from app.domain.ports import ImageRepository
from app.domain.times import is_implausible
from app.domain.uploads.requests import Attempt, TicketRequest, Upload, UrlRequest

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Time from the first use of a key until it is forgotten.
KEY_LIFE = timedelta(hours=24)
#: Time that a request has after its body was read. Then a repetition continues it. A function ends after 30 seconds.
LEASE = timedelta(seconds=60)
#: Seconds after which a repetition should be tried again while the first request is in progress.
RETRY_SECONDS = 2
_ATTEMPTS = 8


class Operation(StrEnum):
    """Operation that a key was used for. All routes that accept an upload are one operation."""

    UPLOAD = "upload"
    TICKET = "ticket"


class KeyEntry(Model, defer_build=True):
    """Use of a key: the request, the id of its image, and the attempt that works on it until `leased_until`.

    A `finished` entry has the id of the record that the answer showed, and `duplicate` if it had been there before.
    """

    owner: str
    key: str
    operation: Operation
    fingerprint: str
    image_id: str
    attempt: str
    leased_until: AwareDatetime
    expires_at: AwareDatetime
    finished: bool = False
    duplicate: bool = False

    def has_expired(self, now: datetime) -> bool:
        """Return True if the key is forgotten, also if it was stored before the clock was set back."""
        return self.expires_at <= now or is_implausible(self.expires_at, now, KEY_LIFE)


class IdempotencyKeys(Protocol):
    """Entries by owner and key. Reads are strongly consistent. Any method may raise `Unavailable`.

    An entry that has expired counts as absent and is removed some time later.
    """

    def create(self, entry: KeyEntry) -> KeyEntry | None:
        """Write the entry of a new key and return None, or return the entry that the key has.

        Of concurrent calls exactly one writes.
        """

    def replace(self, old: KeyEntry, new: KeyEntry) -> bool:
        """Write `new` if the attempt of `old` still has the entry. Return True if so.

        Of concurrent calls with other attempts in `new` exactly one writes.
        """

    def remove(self, old: KeyEntry) -> None:
        """Remove the entry if the attempt of `old` still has it."""


class KeyedRequest(NamedTuple):
    """A request with a key. Owner is that of the image."""

    owner: str
    key: str
    operation: Operation
    fingerprint: str


class Effect(NamedTuple):
    """Effect of a request: the id of the record that the answer shows, and True if it was there before."""

    image_id: str
    duplicate: bool


class Idempotency:
    """Runs requests with keys, each of them once."""

    def __init__(self, keys: IdempotencyKeys, images: ImageRepository) -> None:
        self._keys = keys
        self._images = images

    def run(
        self,
        request: KeyedRequest,
        action: Callable[[Attempt], T],
        effect: Callable[[T], Effect],
        replay: Callable[[Image, bool], T],
    ) -> tuple[T, bool]:
        """Return the result of `action`, or that of `replay` and True if the request is finished already.

        `replay` gets the record and its `duplicate`; it is called again if it raises `Stale`. If `action` fails, the
        key can be used again at once. Raises `Invalid` for the key of another request, `Conflict` while that request is
        in progress, and `Gone` if its image was deleted.
        """
        now = utcnow()
        attempt = new_id()
        ends = {"attempt": attempt, "leased_until": now + LEASE}
        entry = KeyEntry(**request._asdict(), image_id=new_id(), expires_at=now + KEY_LIFE, **ends)
        found = self._keys.create(entry)
        if found is not None:
            if (found.operation, found.fingerprint) != (request.operation, request.fingerprint):
                raise _reused()
            if found.finished:
                return self._replay(found, replay), True
            entry = found.model_copy(update=ends)
            if not _is_over(found, now):
                raise _in_progress()
            if isinstance(self._images.get(found.image_id), Tombstone):
                raise _deleted()
            if not self._keys.replace(found, entry):
                raise _in_progress()
        try:
            result = action(Attempt(entry.image_id, is_retry=found is not None))
        except BaseException:
            self._release(entry, may_run=found is not None)
            raise
        self._finish(entry, effect(result))
        return result, False

    def _replay(self, found: KeyEntry, replay: Callable[[Image, bool], T]) -> T:
        for _ in range(_ATTEMPTS):
            image = self._images.get(found.image_id)
            if not isinstance(image, Image):
                raise _deleted()
            with suppress(Stale):
                return replay(image, found.duplicate)
        raise KeepsChanging(found.image_id)

    def _finish(self, entry: KeyEntry, effect: Effect) -> None:
        """Store the effect. If another attempt continues the request, it has the same record and stores the same."""
        finished = {"image_id": effect.image_id, "duplicate": effect.duplicate, "finished": True}
        try:
            self._keys.replace(entry, entry.model_copy(update=finished))
        except PortError:  # a repetition after the lease finds the record
            log.exception("idempotency key not finished", extra={"image_id": effect.image_id})

    def _release(self, entry: KeyEntry, *, may_run: bool) -> None:
        """Let the key be used again: for any request if nothing is stored, else for a repetition of this one.

        An earlier attempt that may still run has the id too, so the key keeps it.
        """
        try:
            if not may_run and self._images.get(entry.image_id) is None:
                self._keys.remove(entry)
            else:
                self._keys.replace(entry, entry.model_copy(update={"leased_until": utcnow()}))
        except PortError:  # the lease ends by itself
            log.exception("idempotency key not released", extra={"image_id": entry.image_id})


def fingerprint(request: Upload | TicketRequest | UrlRequest, **options: str) -> str:
    """Return a hash of the fields of a request and the SHA-256 of its bytes, or its url. Absent fields do not count."""
    described = request.description
    content = (
        {"url": request.url}
        if isinstance(request, UrlRequest)
        else {"bytes": request.size, "sha256": request.sha256, "content_type": request.content_type}
    )
    fields = {
        **options,
        **content,
        "declared_content_type": request.declared_content_type,
        "filename": request.filename,
        "title": described.title,
        "alt": described.alt,
        "tags": list(described.tags),
        "metadata": dict(described.metadata),
        "focal_point": described.focal_point and described.focal_point.model_dump(),
        "visibility": described.visibility,
    }
    given = {name: value for name, value in fields.items() if value not in (None, [], {})}
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def _is_over(entry: KeyEntry, now: datetime) -> bool:
    return entry.leased_until <= now or is_implausible(entry.leased_until, now, LEASE)


def _reused() -> RequestError:
    return Invalid(
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request: its fields, its bytes or its route differ. Send a new key "
        "with a new request.",
    )


def _in_progress() -> RequestError:
    return Conflict(
        "request_in_progress",
        "A request with this Idempotency-Key is in progress. Repeat it in a moment.",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _deleted() -> RequestError:
    return Gone(
        "idempotent_image_deleted",
        "The image of the request with this Idempotency-Key was deleted. To upload it again, send a new key.",
    )
