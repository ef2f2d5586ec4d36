"""Promises of `ImageRepository` about which record stands for which bytes, for every adapter."""

import pytest

from app.domain.errors import HashTaken
from app.domain.models import Status
from app.domain.ports import ImageRepository
from tests.contract.races import eventually, race, winners
from tests.contract.records import OWNER, an_image, ids, stored, tombstone_of

SHA = "5e" * 32


def holder(images: ImageRepository, owner: str = OWNER) -> str | None:
    return images.find_hash(owner, SHA)


def test_a_claim_points_the_bytes_at_the_record(images: ImageRepository) -> None:
    assert holder(images) is None
    image = stored(images, sha256=SHA)
    assert holder(images) == image.id
    images.update(image.id, 1, {"status": Status.FAILED})
    assert holder(images) == image.id


def test_without_a_claim_nothing_points_at_the_record(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA, claim=False)
    assert holder(images) is None
    second = stored(images, sha256=SHA)
    third = stored(images, sha256=SHA, claim=False)
    assert holder(images) == second.id
    eventually(lambda: ids(images), [third.id, second.id, first.id])


def test_bytes_that_have_a_record_are_taken(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    second = an_image(sha256=SHA, tags=["second"])
    with pytest.raises(HashTaken) as caught:
        images.create(second, claim=True)
    assert caught.value.image_id == first.id
    assert images.get(second.id) is None
    assert ids(images, tag="second") == []
    eventually(lambda: ids(images), [first.id])
    assert holder(images) == first.id


def test_owners_do_not_know_each_others_bytes(images: ImageRepository) -> None:
    mine = stored(images, sha256=SHA)
    theirs = stored(images, sha256=SHA, owner="bob")
    assert holder(images) == mine.id
    assert holder(images, "bob") == theirs.id
    assert holder(images, "") is None


def test_a_pointer_is_taken_over_from_the_record_it_names(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    second = an_image(sha256=SHA)
    images.create(second, claim=True, replaces=first.id)
    assert holder(images) == second.id
    assert images.get(first.id) == first


def test_a_pointer_is_not_taken_over_from_a_record_it_does_not_name(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    third, late = an_image(sha256=SHA), an_image(sha256=SHA)
    images.create(third, claim=True, replaces=first.id)
    with pytest.raises(HashTaken) as caught:
        images.create(late, claim=True, replaces=first.id)
    assert caught.value.image_id == third.id
    assert images.get(late.id) is None
    assert holder(images) == third.id


def test_a_free_pointer_is_taken_whatever_it_was_to_replace(images: ImageRepository) -> None:
    image = an_image(sha256=SHA)
    images.create(image, claim=True, replaces=an_image().id)
    assert holder(images) == image.id


def test_of_racing_claims_exactly_one_wins_and_all_others_name_it(images: ImageRepository) -> None:
    racers = [an_image(sha256=SHA) for _ in range(24)]
    results = race(lambda number: images.create(racers[number], claim=True))
    (winner,) = winners(results)
    losers = [each for number, each in enumerate(results) if number != winner]
    assert all(isinstance(each, HashTaken) and each.image_id == racers[winner].id for each in losers)
    assert [image.id for image in racers if images.get(image.id)] == [racers[winner].id]
    assert holder(images) == racers[winner].id
    eventually(lambda: ids(images), [racers[winner].id])


def test_of_racing_take_overs_exactly_one_wins(images: ImageRepository) -> None:
    old = stored(images, sha256=SHA)
    racers = [an_image(sha256=SHA) for _ in range(24)]
    results = race(lambda number: images.create(racers[number], claim=True, replaces=old.id))
    (winner,) = winners(results)
    losers = [each for number, each in enumerate(results) if number != winner]
    assert all(isinstance(each, HashTaken) and each.image_id == racers[winner].id for each in losers)
    assert holder(images) == racers[winner].id


def test_a_record_claims_its_bytes_later_if_they_are_free(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA, claim=False)
    second = stored(images, sha256=SHA, claim=False)
    assert images.claim(first) is True
    assert images.claim(first) is True
    assert images.claim(second) is False
    assert holder(images) == first.id
    assert images.get(first.id) == first


def test_of_racing_later_claims_exactly_one_wins(images: ImageRepository) -> None:
    racers = [stored(images, sha256=SHA, claim=False) for _ in range(24)]
    results = race(lambda number: images.claim(racers[number]))
    assert sorted(results, key=bool) == [False] * 23 + [True]
    assert holder(images) == racers[results.index(True)].id


def test_a_pointer_goes_with_the_record_it_names(images: ImageRepository) -> None:
    buried = stored(images, sha256=SHA)
    images.bury(buried.id, 1, tombstone_of(buried))
    assert holder(images) is None
    removed = stored(images, sha256=SHA)
    assert holder(images) == removed.id
    images.remove(removed.id, 1)
    assert holder(images) is None


def test_a_pointer_stays_when_a_record_goes_that_it_does_not_name(images: ImageRepository) -> None:
    first, second = stored(images, sha256=SHA), an_image(sha256=SHA)
    third = stored(images, sha256=SHA, claim=False)
    images.create(second, claim=True, replaces=first.id)
    images.bury(first.id, 1, tombstone_of(first))
    images.remove(third.id, 1)
    assert holder(images) == second.id
