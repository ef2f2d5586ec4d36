"""Bytes whose record was removed before they arrived."""

from contextlib import suppress
from datetime import timedelta

from app.domain.errors import AlreadyExists, Stale
from app.domain.media import UNKNOWN_TYPE
from app.domain.models import ANONYMOUS, Image, Status, Tombstone, utcnow
from app.domain.ports import ImageRepository
from app.domain.work import Task, Work

#: Lifetime of the tombstone, longer than any run of `reconcile`.
_TOMBSTONE_LIFE = timedelta(days=1)


def bury(images: ImageRepository, image_id: str) -> bool:
    """Write a tombstone for an id without a record. Return False if it has a record or a tombstone.

    After it has removed a record, `reconcile` looks for the bytes once more, and creates the record again if they have
    arrived. Only one of the two can create the id. So the caller may remove the bytes if this function returns True.

    A tombstone can replace a record only, so there is a record first. It is that of an open ticket, which makes no
    event and counts nowhere, in the trash and due: `reconcile` deletes it if this process ends before the tombstone.
    """
    now = utcnow()
    purge = {Task.PURGE: Work.add(now)}
    record = Image(
        id=image_id,
        owner=ANONYMOUS,
        status=Status.FAILED,
        content_type=UNKNOWN_TYPE,
        bytes=0,
        uploaded_at=now,
        updated_at=now,
        upload_expires_at=now,
        trashed_at=now,
        work=purge,
    )
    try:
        images.create(record, claim=False)
    except AlreadyExists:
        return False
    tombstone = Tombstone(id=image_id, owner=ANONYMOUS, deleted_at=now, expires_at=now + _TOMBSTONE_LIFE, work=purge)
    with suppress(Stale):  # `reconcile` has deleted it already
        images.delete(image_id, record.version, tombstone)
    return True
