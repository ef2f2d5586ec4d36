"""Promises of `ImageRepository` about which record stands for which bytes, for every adapter."""

import pytest

from app.domain.errors import HashTaken, Unavailable
from app.domain.models import Image, Status
from app.domain.ports import ImageRepository
from tests.contract.races import eventually, race, winners
from tests.contract.records import OWNER, an_image, ids, stored, tombstone_of

SHA = "5e" * 32


def holder(images: ImageRepository, owner: str = OWNER) -> str | None:
    return images.find_hash(owner, SHA)


@pytest.mark.moto
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
    assert ids(images, tags=("second",)) == []
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


def test_copies_are_found_oldest_first(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    assert images.find_copies(OWNER, [SHA]) == {}
    copies = [stored(images, sha256=SHA, claim=False) for _ in range(3)]
    for copy in reversed(copies):
        assert not images.claim(copy)
    assert images.find_copies(OWNER, [SHA, "0" * 64]) == {SHA: [copy.id for copy in copies]}
    assert images.find_copies("bob", [SHA]) == {}
    assert images.find_copies(OWNER, []) == {}
    images.delete(first.id, 1, tombstone_of(first))
    assert images.find_copies(OWNER, [SHA]) == {SHA: [copy.id for copy in copies[1:]]}


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
    deleted = stored(images, sha256=SHA)
    images.delete(deleted.id, 1, tombstone_of(deleted))
    assert holder(images) is None
    removed = stored(images, sha256=SHA)
    assert holder(images) == removed.id
    images.remove(removed.id, 1)
    assert holder(images) is None


def test_a_pointer_stays_when_a_record_goes_that_it_does_not_name(images: ImageRepository) -> None:
    first, second = stored(images, sha256=SHA), an_image(sha256=SHA)
    third = stored(images, sha256=SHA, claim=False)
    images.create(second, claim=True, replaces=first.id)
    images.delete(first.id, 1, tombstone_of(first))
    images.remove(third.id, 1)
    assert holder(images) == second.id


def copies_of(images: ImageRepository, count: int) -> list[Image]:
    """Create `count` further records of the same bytes, oldest first, each noted as a copy."""
    made = [stored(images, sha256=SHA, claim=False) for _ in range(count)]
    assert [images.claim(copy) for copy in made] == [False] * count
    return made


@pytest.mark.moto
def test_a_pointer_passes_to_the_oldest_copy_when_its_record_goes(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    second, third = copies_of(images, 2)
    assert images.claim(third) is False  # noted once, however often it asks
    images.delete(first.id, 1, tombstone_of(first))
    assert holder(images) == second.id
    images.remove(second.id, 1)
    assert holder(images) == third.id
    assert images.claim(third) is True
    images.remove(third.id, 1)
    assert holder(images) is None


def test_a_copy_that_is_gone_gets_no_pointer(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    second, third, fourth = copies_of(images, 3)
    images.delete(second.id, 1, tombstone_of(second))
    images.remove(third.id, 1)
    assert holder(images) == first.id
    images.remove(first.id, 1)
    assert holder(images) == fourth.id
    images.remove(fourth.id, 1)
    assert holder(images) is None


def test_copies_stay_noted_when_the_pointer_is_taken_over(images: ImageRepository) -> None:
    failed = stored(images, sha256=SHA)
    (copy,) = copies_of(images, 1)
    second = an_image(sha256=SHA)
    images.create(second, claim=True, replaces=failed.id)
    images.remove(failed.id, 1)
    assert holder(images) == second.id
    images.remove(second.id, 1)
    assert holder(images) == copy.id


def test_owners_copies_are_their_own(images: ImageRepository) -> None:
    mine = stored(images, sha256=SHA)
    theirs = stored(images, sha256=SHA, owner="bob", claim=False)
    assert images.claim(theirs) is True
    images.remove(mine.id, 1)
    assert holder(images) is None
    assert holder(images, "bob") == theirs.id


def test_there_may_be_any_number_of_copies(images: ImageRepository) -> None:
    alive = {image.id: image for image in (stored(images, sha256=SHA), *copies_of(images, 25))}
    for _ in range(20):
        current = holder(images)
        assert current in alive
        images.remove(current, 1)
        del alive[current]
    for image_id in alive:
        images.remove(image_id, 1)
    assert holder(images) is None


def test_of_records_and_copies_that_go_at_once_none_keeps_the_pointer(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    everyone = [first, *copies_of(images, 5)]
    staying = everyone.pop()
    results = race(lambda number: images.remove(everyone[number].id, 1) if number < len(everyone) else None)
    for number, result in enumerate(results[: len(everyone)]):
        if result is not None:  # it was busy, and has changed nothing
            assert isinstance(result, Unavailable)
            images.remove(everyone[number].id, 1)
    assert holder(images) == staying.id


def test_a_copy_is_noted_while_its_record_goes(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    copies = [stored(images, sha256=SHA, claim=False) for _ in range(3)]

    def act(number: int) -> object:
        return images.remove(first.id, 1) if number == 0 else images.claim(copies[number % 3])

    race(act)
    assert holder(images) in {copy.id for copy in copies}


def test_a_pointer_passes_on_when_many_records_go_together(images: ImageRepository) -> None:
    first = stored(images, sha256=SHA)
    second, third = copies_of(images, 2)
    other = stored(images)
    assert images.remove_all([first, other, second]) == {first.id, other.id, second.id}
    assert holder(images) == third.id
    assert images.remove_all([third]) == {third.id}
    assert holder(images) is None
