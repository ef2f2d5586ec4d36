"""Promises of `ImageRepository` about finding images otherwise than by lists, for every adapter."""

import hashlib
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from app.domain.errors import Stale
from app.domain.ids import new_id
from app.domain.images.similar import bands
from app.domain.models import Image, Status, Visibility, utcnow
from app.domain.ports import ImageRepository
from tests.contract.races import eventually
from tests.contract.records import OWNER, PROCESSED, an_image, ids, stored, tombstone_of

HASH = hashlib.sha256(b"expected").hexdigest()


def a_ticket(images: ImageRepository, **fields: Any) -> Image:
    ticket = an_image(**{"upload_expires_at": utcnow() + timedelta(days=1), "sha256": HASH, **fields})
    images.create(ticket, claim=False)
    return ticket


def test_many_records_are_read_at_once(images: ImageRepository) -> None:
    first, second, gone = stored(images), stored(images, owner="bob"), stored(images)
    images.delete(gone.id, 1, tombstone_of(gone))
    wanted = [first.id, second.id, first.id, gone.id, new_id(), *(new_id() for _ in range(120))]
    assert images.get_many(wanted) == {first.id: first, second.id: second}
    assert images.get_many([]) == {}


def test_many_hashes_are_found_at_once(images: ImageRepository) -> None:
    hashes = [hashlib.sha256(bytes([number])).hexdigest() for number in range(130)]
    first, last = (an_image(sha256=hashes[number]) for number in (0, 129))
    for image in (first, last, an_image(sha256=hashes[5], owner="bob")):
        images.create(image, claim=True)
    assert images.find_hashes(OWNER, hashes) == {hashes[0]: first.id, hashes[129]: last.id}
    assert images.find_hashes(OWNER, []) == {}


def test_a_ticket_is_found_by_its_bytes_until_it_is_processed(images: ImageRepository) -> None:
    assert images.find_ticket(OWNER, HASH) is None
    ticket = a_ticket(images)
    a_ticket(images, sha256=None)
    assert images.find_ticket(OWNER, HASH) == ticket.id
    assert images.find_ticket("bob", HASH) is None
    newer = a_ticket(images)
    assert images.find_ticket(OWNER, HASH) == newer.id
    arrived = images.update(newer.id, 1, {"arrived_at": utcnow()})
    assert images.find_ticket(OWNER, HASH) == newer.id
    images.update(newer.id, arrived.version, {**PROCESSED, "upload_expires_at": None})
    assert images.find_ticket(OWNER, HASH) in {None, ticket.id}
    images.remove(ticket.id, 1)
    assert images.find_ticket(OWNER, HASH) is None


def test_images_are_found_by_the_bands_of_their_hash(images: ImageRepository) -> None:
    one, other = "ff00ff00ff00ff01", "ff00ff00aaaa5555"
    first = stored(images, phash=one)
    second = stored(images, phash=other)
    stored(images, phash=one, owner="bob")
    stored(images, phash="0000000000000001")
    stored(images, phash=one, trashed_at=utcnow())
    later = stored(images)

    def found(phash: str, limit: int = 10) -> set[tuple[str, str]]:
        return set(chain.from_iterable(images.find_bands(OWNER, bands(phash), limit)))

    eventually(lambda: found(one), {(first.id, one), (second.id, other)})
    assert list(images.find_bands(OWNER, ["2:aaaa", "2:bbbb"], 10)) == [[(second.id, other)], []]
    assert found("0000000000000001") == set()
    images.update(later.id, 1, {"phash": one})
    eventually(lambda: len(found(one)), 3)
    images.update(later.id, 2, {"trashed_at": utcnow()})
    images.delete(first.id, 1, tombstone_of(first))
    eventually(lambda: found(one), {(second.id, other)})
    images.update(later.id, 3, {"trashed_at": None})
    eventually(lambda: found(one), {(second.id, other), (later.id, one)})
    eventually(lambda: list(images.find_bands(OWNER, ["0:ff00"], 1)), [[(later.id, one)]])


def test_a_trashed_image_is_in_the_list_of_the_trash_only(images: ImageRepository) -> None:
    image = stored(images, tags=["a"], status=Status.READY, work={}, visibility=Visibility.PUBLIC)
    trashed = images.update(image.id, 1, {"trashed_at": utcnow()})
    eventually(lambda: ids(images, trashed=True), [image.id])
    for filters in ({}, {"tags": ("a",)}, {"status": Status.READY}, {"visibility": Visibility.PUBLIC}):
        assert ids(images, **filters) == []
        assert ids(images, trashed=True, **filters) == [image.id]
    assert images.get(image.id) == trashed
    assert list(images.owned(OWNER)) == [image.id]
    restored = images.update(image.id, 2, {"trashed_at": None})
    eventually(lambda: ids(images, tags=("a",), status=Status.READY), [image.id])
    assert ids(images, trashed=True) == []
    assert restored.trashed_at is None
    trashed = images.update(image.id, 3, {"trashed_at": utcnow()})
    images.delete(image.id, 4, tombstone_of(trashed))
    eventually(lambda: ids(images, trashed=True), [])
    assert list(images.owned(OWNER)) == []


def test_a_record_that_has_all_index_entries_gets_none(images: ImageRepository) -> None:
    image = stored(images, tags=["a"], phash="ff00ff00ff00ff01", visibility=Visibility.PUBLIC)
    assert images.reindex(image) is False
    assert images.get(image.id) == image
    eventually(lambda: ids(images, tags=("a",), visibility=Visibility.PUBLIC), [image.id])
    images.update(image.id, 1, {"tags": []})
    with pytest.raises(Stale):
        images.reindex(image)
    eventually(lambda: ids(images, tags=("a",)), [])
