"""Records that are not yet an image: in no list, gone by themselves, and images like any other once they are."""

from datetime import timedelta

import pytest

from app.domain.errors import Stale
from app.domain.models import Status, utcnow
from app.domain.ports import ImageRepository
from tests.contract.races import eventually
from tests.contract.records import OWNER, an_image, ids, stored, tombstone_of


def test_a_ticket_is_read_by_id_and_in_no_list(images: ImageRepository) -> None:
    listed = stored(images, tags=["a"])
    ticket = stored(images, claim=False, tags=["a"], expires_at=utcnow() + timedelta(days=1))
    assert images.get(ticket.id) == ticket
    assert images.find_hash(OWNER, ticket.sha256 or "") is None
    for filters in ({}, {"tag": "a"}, {"status": Status.PENDING}, {"content_type": "image/jpeg"}):
        eventually(lambda filters=filters: ids(images, **filters), [listed.id])
    eventually(lambda: set(images.unsettled()), {listed.id, ticket.id})


def test_a_ticket_is_absent_once_it_has_expired(images: ImageRepository) -> None:
    ticket = stored(images, claim=False, expires_at=utcnow() + timedelta(seconds=0.3))
    eventually(lambda: images.get(ticket.id), None)
    with pytest.raises(Stale):
        images.update(ticket.id, 1, {"expires_at": None})
    again = an_image(id=ticket.id)
    images.create(again, claim=True)
    assert images.get(ticket.id) == again


def test_a_ticket_that_was_used_is_an_image_like_any_other(images: ImageRepository) -> None:
    ticket = stored(images, claim=False, tags=["a"], expires_at=utcnow() + timedelta(seconds=1))
    image = images.update(ticket.id, 1, {"expires_at": None, "status": Status.READY})
    assert images.get(ticket.id) == image
    for filters in ({}, {"tag": "a"}, {"status": Status.READY}, {"content_type": "image/jpeg"}):
        eventually(lambda filters=filters: ids(images, **filters), [image.id])
    assert images.claim(image)
    assert images.find_hash(OWNER, image.sha256 or "") == image.id


def test_a_ticket_can_be_changed_buried_and_removed(images: ImageRepository) -> None:
    expires_at = utcnow() + timedelta(days=1)
    changed, buried, removed = (stored(images, claim=False, expires_at=expires_at) for _ in range(3))
    assert images.update(changed.id, 1, {"title": "T"}).expires_at == expires_at
    images.bury(buried.id, 1, tombstone_of(buried))
    images.remove(removed.id, 1)
    assert images.get(removed.id) is None
    eventually(lambda: ids(images), [])
    eventually(lambda: set(images.unsettled()), {changed.id, buried.id})
