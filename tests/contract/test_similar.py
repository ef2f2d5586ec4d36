"""Look-alikes, for every adapter, compared with a comparison of all hashes."""

import random

import pytest

from app.domain.errors import Conflict
from app.domain.images import similar
from app.domain.images.similar import LookAlikeSearch, bands, bands_within, hash_distance
from app.domain.models import Image, Status, utcnow
from app.domain.ports import ImageRepository
from tests.contract.conftest import Many
from tests.contract.races import eventually
from tests.contract.records import an_image, stored, tombstone_of
from tests.sides import Interposed, once

HASH = "d2c3aec9e93f12c0"
Found = list[tuple[int, str]]


def with_hash(images: ImageRepository, phash: str | None = HASH, **fields: object) -> Image:
    return stored(images, **{"status": Status.READY, "phash": phash, "work": {}, **fields})


def flipped(dice: random.Random, distance: int) -> str:
    """A hash at that distance."""
    return f"{int(HASH, 16) ^ sum(1 << bit for bit in dice.sample(range(64), distance)):016x}"


def found(images: ImageRepository, image: Image, distance: int = 6, limit: int = 200) -> Found:
    look_alikes = LookAlikeSearch(images).find(image, distance, limit)
    return [(each.distance, each.image.id) for each in look_alikes.items]


def test_every_hash_within_the_exact_distance_is_found_and_no_other(images: ImageRepository, many: Many) -> None:
    dice = random.Random(4)
    image = with_hash(images)
    others = [with_hash(images, flipped(dice, number % 13)) for number in range(many(130))]
    apart = {each.id: hash_distance(HASH, each.phash or "") for each in others}
    assert set(range(7)) <= set(apart.values())

    def within(distance: int) -> Found:
        near = sorted((each for each in others if apart[each.id] <= distance), key=lambda each: each.id, reverse=True)
        return sorted(((apart[each.id], each.id) for each in near), key=lambda pair: pair[0])

    eventually(lambda: found(images, image), within(6))
    for distance in range(7):
        assert found(images, image, distance) == within(distance)
    wanted = set(bands_within(HASH, 10))
    met = {each.id for each in others if wanted & set(bands(each.phash))}
    assert found(images, image, 10) == [pair for pair in within(10) if pair[1] in met]


@pytest.mark.moto
def test_the_image_itself_and_those_of_others_are_left_out(images: ImageRepository) -> None:
    image = with_hash(images)
    with_hash(images, owner="bob")
    with_hash(images, trashed_at=utcnow())
    with_hash(images, "0000000000000001")
    for status in (Status.PENDING, Status.FAILED):
        with_hash(images, status=status)
    twin = with_hash(images)
    gone, hidden, changed = with_hash(images), with_hash(images), with_hash(images)
    eventually(lambda: len(found(images, image)), 4)
    images.delete(gone.id, 1, tombstone_of(gone))
    images.update(hidden.id, 1, {"trashed_at": utcnow()})
    images.update(changed.id, 1, {"phash": "2d3c51361600ed3f"})
    assert found(images, image) == [(0, twin.id)]
    eventually(lambda: found(images, hidden), [(0, twin.id), (0, image.id)])


def test_only_an_image_that_was_processed_has_look_alikes(images: ImageRepository) -> None:
    search = LookAlikeSearch(images)
    for status in (Status.PENDING, Status.FAILED):
        with pytest.raises(Conflict, match=status.value):
            search.find(an_image(status=status, phash=HASH), 6, 10)


@pytest.mark.parametrize("phash", ["0000000000000001", "fffffffffffffffe", None])
def test_a_nearly_uniform_image_is_not_compared(images: ImageRepository, phash: str | None) -> None:
    image = with_hash(images, phash)
    with_hash(images, phash)
    look_alikes = LookAlikeSearch(images).find(image, 10, 10)
    assert (list(look_alikes.items), look_alikes.comparable, look_alikes.complete) == ([], False, True)


def test_an_answer_that_was_cut_off_says_so(images: ImageRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    image, *twins = (with_hash(images) for _ in range(6))
    newest = [(0, twin.id) for twin in reversed(twins)]
    eventually(lambda: found(images, image), newest)

    def search(limit: int) -> tuple[int, bool]:
        look_alikes = LookAlikeSearch(images).find(image, 6, limit)
        assert [(each.distance, each.image.id) for each in look_alikes.items] == newest[: len(look_alikes.items)]
        return len(look_alikes.items), look_alikes.complete

    assert [search(limit) for limit in (1, 4, 5, 6)] == [(1, False), (4, False), (5, True), (5, True)]
    monkeypatch.setattr(similar, "CANDIDATES", 4)
    assert search(100) == (4, False)


def test_stale_index_entries_are_replaced_by_further_look_alikes(images: ImageRepository) -> None:
    """Images that are deleted between the look-up and the read do not shorten the answer."""
    image, *twins = (with_hash(images) for _ in range(6))
    eventually(lambda: len(found(images, image)), 5)

    def delete() -> None:
        for twin in twins[2:]:
            images.delete(twin.id, 1, tombstone_of(twin))

    raced = Interposed(images, before={"get_many": once(delete)})
    look_alikes = LookAlikeSearch(raced).find(image, 6, 2)
    assert [each.image.id for each in look_alikes.items] == [twins[1].id, twins[0].id]
    assert look_alikes.complete
