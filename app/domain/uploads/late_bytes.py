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

    `reconcile` writes a record that it has removed again if the bytes arrived meanwhile. Only one of both calls writes
    the id, so the caller may remove the bytes if this one did. The first write is the record of a trashed ticket that
    is due and was never processed: it makes no event, and `reconcile` deletes it if this process ends here.
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
