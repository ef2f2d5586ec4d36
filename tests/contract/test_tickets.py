"""Records of upload tickets: in no list, counted while they are open, and records like any other once processed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import AlreadyExists, HashTaken
from app.domain.models import Image, Status, utcnow
from app.domain.ports import ImageRepository
from tests.contract.races import RACERS, eventually, race, winners
from tests.contract.records import OWNER, PROCESSED, an_image, ids, stored, tombstone_of, unfinished


def test_a_ticket_is_read_by_id_and_in_no_list(images: ImageRepository) -> None:
    listed = stored(images, tags=["a"])
    ticket = stored(images, claim=False, tags=["a"], upload_expires_at=utcnow() + timedelta(days=1))
    assert images.get(ticket.id) == ticket
    assert images.find_hash(OWNER, ticket.sha256 or "") is None
    for filters in ({}, {"tags": ("a",)}, {"status": Status.PENDING}, {"content_type": "image/jpeg"}):
        eventually(lambda filters=filters: ids(images, **filters), [listed.id])
    eventually(lambda: unfinished(images), {listed.id, ticket.id})


def test_a_ticket_stays_when_its_time_has_passed(images: ImageRepository) -> None:
    """Time alone removes no record, because its bytes may have arrived."""
    ticket = stored(images, claim=False, upload_expires_at=utcnow() - timedelta(days=30))
    assert images.get(ticket.id) == ticket
    with pytest.raises(AlreadyExists):
        images.create(an_image(id=ticket.id), claim=True)
    eventually(lambda: unfinished(images), {ticket.id})
    image = images.update(ticket.id, 1, {"upload_expires_at": None})
    assert images.get(ticket.id) == image
    eventually(lambda: ids(images), [image.id])


@pytest.mark.moto
def test_open_tickets_are_counted_for_each_owner_and_up_to_a_limit(images: ImageRepository) -> None:
    in_a_day = utcnow() + timedelta(days=1)
    tickets = [stored(images, claim=False, upload_expires_at=in_a_day) for _ in range(7)]
    stored(images)
    stored(images, claim=False, owner="ada#", upload_expires_at=in_a_day)
    eventually(lambda: len(images.open_tickets(OWNER, 100)), 7)
    assert len(images.open_tickets(OWNER, 7)) == 7
    assert list(images.open_tickets(OWNER, 3)) == [ticket.id for ticket in tickets[:3]]
    eventually(lambda: len(images.open_tickets("ada#", 100)), 1)
    assert len(images.open_tickets("bob", 100)) == 0
    images.update(tickets[0].id, 1, {"arrived_at": utcnow()})
    images.update(tickets[1].id, 1, {"upload_expires_at": None, "status": Status.READY})
    images.delete(tickets[2].id, 1, tombstone_of(tickets[2]))
    images.remove(tickets[3].id, 1)
    images.update(tickets[4].id, 1, {"title": "still open"})
    eventually(lambda: len(images.open_tickets(OWNER, 100)), 3)


def test_a_ticket_whose_bytes_have_come_is_in_no_list_and_not_open(images: ImageRepository) -> None:
    ticket = stored(images, claim=False, tags=["a"], upload_expires_at=utcnow() + timedelta(days=1))
    arrived = images.update(ticket.id, 1, {"arrived_at": utcnow()})
    assert images.get(ticket.id) == arrived
    eventually(lambda: len(images.open_tickets(OWNER, 10)), 0)
    assert ids(images) == ids(images, tags=("a",)) == []
    image = images.update(ticket.id, 2, {"upload_expires_at": None})
    assert images.get(ticket.id) == image
    eventually(lambda: ids(images, tags=("a",)), [image.id])
    images.remove(image.id, 3)
    eventually(lambda: unfinished(images), set())


def test_a_ticket_that_was_used_is_an_image_like_any_other(images: ImageRepository) -> None:
    ticket = stored(images, claim=False, tags=["a"], upload_expires_at=utcnow() + timedelta(seconds=1))
    image = images.update(ticket.id, 1, {"upload_expires_at": None, "status": Status.READY})
    assert images.get(ticket.id) == image
    for filters in ({}, {"tags": ("a",)}, {"status": Status.READY}, {"content_type": "image/jpeg"}):
        eventually(lambda filters=filters: ids(images, **filters), [image.id])
    assert images.claim(image)
    assert images.find_hash(OWNER, image.sha256 or "") == image.id


def test_a_ticket_can_be_changed_deleted_and_removed(images: ImageRepository) -> None:
    expires_at = utcnow() + timedelta(days=1)
    changed, deleted, removed = (stored(images, claim=False, upload_expires_at=expires_at) for _ in range(3))
    assert images.update(changed.id, 1, {"title": "T"}).upload_expires_at == expires_at
    images.delete(deleted.id, 1, tombstone_of(deleted))
    images.remove(removed.id, 1)
    assert images.get(removed.id) is None
    eventually(lambda: ids(images), [])
    eventually(lambda: unfinished(images), {changed.id, deleted.id})


SHA = "5e" * 32


def a_ticket(**fields: Any) -> Image:
    """The record of a ticket for the same bytes."""
    return an_image(**{"sha256": SHA, "upload_expires_at": utcnow() + timedelta(days=1), **fields})


def test_a_claimed_ticket_is_the_only_one_for_its_bytes(images: ImageRepository) -> None:
    first, second = a_ticket(), a_ticket(tags=["second"])
    images.create(first, claim=True)
    for replaces in (None, second.id):
        with pytest.raises(HashTaken) as caught:
            images.create(second, claim=True, replaces=replaces)
        assert caught.value.image_id == first.id
    assert images.get(second.id) is None
    assert images.find_hash(OWNER, SHA) is None
    images.create(a_ticket(owner="bob"), claim=True)
    images.create(second, claim=True, replaces=first.id)
    assert images.find_ticket(OWNER, SHA) == second.id
    with pytest.raises(AlreadyExists):
        images.create(second, claim=True, replaces=second.id)
    images.remove(second.id, 1)
    images.remove(first.id, 1)
    third = a_ticket()
    images.create(third, claim=True, replaces=second.id)
    assert images.find_ticket(OWNER, SHA) == third.id


ENDS: dict[str, Callable[[ImageRepository, Image], object]] = {
    "processed": lambda images, ticket: images.update(ticket.id, 1, {**PROCESSED, "upload_expires_at": None}),
    "trashed": lambda images, ticket: images.update(ticket.id, 1, {"trashed_at": utcnow()}),
    "deleted": lambda images, ticket: images.delete(ticket.id, 1, tombstone_of(ticket)),
    "removed": lambda images, ticket: images.remove(ticket.id, 1),
    "removed with others": lambda images, ticket: images.remove_all([ticket, stored(images)]),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_the_end_of_an_older_ticket_leaves_the_newer_one(
    images: ImageRepository, end: Callable[[ImageRepository, Image], object]
) -> None:
    older, newer = a_ticket(tags=["a"]), a_ticket()
    images.create(older, claim=True)
    images.create(newer, claim=True, replaces=older.id)
    end(images, older)
    found = images.get(older.id)
    assert not isinstance(found, Image) or found.version == 2
    eventually(lambda: ids(images, tags=("a",)), [older.id] * (isinstance(found, Image) and found.trashed_at is None))
    assert images.find_ticket(OWNER, SHA) == newer.id
    images.remove(newer.id, 1)
    assert images.find_ticket(OWNER, SHA) is None


def test_a_ticket_that_is_restored_does_not_hide_a_newer_one(images: ImageRepository) -> None:
    older, newer = a_ticket(arrived_at=utcnow()), a_ticket()
    images.create(older, claim=True)
    images.update(older.id, 1, {"trashed_at": utcnow()})
    images.create(newer, claim=True)
    images.update(older.id, 2, {"trashed_at": None})
    assert images.find_ticket(OWNER, SHA) == newer.id
    images.update(older.id, 3, {**PROCESSED, "upload_expires_at": None})
    assert images.find_ticket(OWNER, SHA) == newer.id


def test_a_ticket_and_an_image_of_the_same_bytes_do_not_exclude_each_other(images: ImageRepository) -> None:
    image = stored(images, sha256=SHA)
    ticket = a_ticket()
    images.create(ticket, claim=True)
    assert (images.find_hash(OWNER, SHA), images.find_ticket(OWNER, SHA)) == (image.id, ticket.id)


@pytest.mark.moto
def test_of_concurrent_tickets_for_the_same_bytes_one_is_created(images: ImageRepository) -> None:
    tickets = [a_ticket() for _ in range(RACERS)]
    results = race(lambda number: images.create(tickets[number], claim=True))
    (winner,) = winners(results)
    assert images.find_ticket(OWNER, SHA) == tickets[winner].id
    assert {result.image_id for result in results if isinstance(result, HashTaken)} == {tickets[winner].id}
    assert unfinished(images) == {tickets[winner].id}
