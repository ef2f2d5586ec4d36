"""Promises of `ImageRepository` about single records, for every adapter."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import AlreadyExists, Stale
from app.domain.ids import new_id
from app.domain.models import UPDATABLE, Image, Status, Tombstone, utcnow
from app.domain.ports import ImageRepository
from tests.contract.races import eventually, race, winners
from tests.contract.records import FULL, OWNER, an_image, ids, stored, tombstone_of, unfinished

STRANGE_OWNER = "a#b/c%20 ü:@"


def test_the_full_record_of_these_tests_has_every_field() -> None:
    assert set(FULL) == UPDATABLE
    plain = an_image(sha256=None)
    assert [name for name, value in FULL.items() if getattr(plain, name) == value] == []


@pytest.mark.moto
@pytest.mark.parametrize("fields", [{}, FULL], ids=["new", "full"])
def test_a_created_record_is_read_back_as_it_was(images: ImageRepository, fields: dict[str, Any]) -> None:
    image = stored(images, owner=STRANGE_OWNER, **fields)
    assert images.get(image.id) == image


def test_an_unknown_id_has_no_record(images: ImageRepository) -> None:
    stored(images)
    assert images.get(new_id()) is None
    assert images.get("no id") is None


@pytest.mark.moto
def test_an_id_is_created_once(images: ImageRepository) -> None:
    image = stored(images, title="first")
    other = an_image(id=image.id, sha256="0" * 64, title="second", tags=["new"])
    with pytest.raises(AlreadyExists):
        images.create(other, claim=True)
    assert images.get(image.id) == image
    assert images.find_hash(OWNER, "0" * 64) is None
    assert ids(images, tags=("new",)) == []


def test_an_id_is_taken_by_its_tombstone(images: ImageRepository) -> None:
    image = stored(images)
    images.delete(image.id, 1, tombstone_of(image))
    with pytest.raises(AlreadyExists):
        images.create(image, claim=False)
    assert isinstance(images.get(image.id), Tombstone)


def test_of_racing_creates_of_one_id_exactly_one_wins(images: ImageRepository) -> None:
    image_id = new_id()
    racers = [an_image(id=image_id, title=str(number), sha256=f"{number:064}") for number in range(24)]
    results = race(lambda number: images.create(racers[number], claim=True))
    (winner,) = winners(results)
    assert all(isinstance(each, AlreadyExists) for number, each in enumerate(results) if number != winner)
    assert images.get(image_id) == racers[winner]
    pointers = [images.find_hash(OWNER, f"{number:064}") for number in range(24)]
    assert [number for number, pointer in enumerate(pointers) if pointer] == [winner]


@pytest.mark.moto
def test_update_writes_the_fields_named_and_no_others(images: ImageRepository) -> None:
    image = stored(images, title="old", alt="kept", tags=["a"])
    before = utcnow()
    after = images.update(image.id, 1, {"title": "new", "tags": ["b", "c"]})
    assert after == image.model_copy(
        update={"title": "new", "tags": ["b", "c"], "version": 2, "updated_at": after.updated_at}
    )
    assert before - timedelta(seconds=1) <= after.updated_at <= utcnow() + timedelta(seconds=1)
    assert images.get(image.id) == after


@pytest.mark.parametrize("field", sorted(UPDATABLE - {"work"}))
def test_every_field_can_be_updated_and_emptied(images: ImageRepository, field: str) -> None:
    image = stored(images)
    updated = images.update(image.id, 1, {field: FULL[field]})
    assert getattr(updated, field) == FULL[field]
    assert images.get(image.id) == updated
    emptied = images.update(image.id, 2, {field: getattr(image, field)})
    assert emptied == image.model_copy(update={"version": 3, "updated_at": emptied.updated_at})
    assert images.get(image.id) == emptied


def test_an_empty_update_moves_version_and_time_alone(images: ImageRepository) -> None:
    image = stored(images, updated_at=utcnow() - timedelta(days=1), **FULL)
    after = images.update(image.id, 1, {})
    assert after == image.model_copy(update={"version": 2, "updated_at": after.updated_at})
    assert after.updated_at > image.updated_at
    assert images.get(image.id) == after


def test_updates_one_after_the_other_keep_each_others_fields(images: ImageRepository) -> None:
    image = stored(images)
    images.update(image.id, 1, {"title": "by the owner"})
    images.update(image.id, 2, {"status": Status.READY, "width": 10})
    found = images.get(image.id)
    assert isinstance(found, Image)
    assert (found.title, found.status, found.width, found.version) == ("by the owner", Status.READY, 10, 3)


@pytest.mark.moto
@pytest.mark.parametrize("version", [0, 1, 3])
def test_an_update_from_another_version_is_stale_and_writes_nothing(images: ImageRepository, version: int) -> None:
    image = stored(images)
    current = images.update(image.id, 1, {"title": "current"})
    with pytest.raises(Stale):
        images.update(image.id, version, {"title": "stale", "tags": ["stale"], "status": Status.READY})
    assert images.get(image.id) == current
    assert ids(images, tags=("stale",)) == ids(images, status=Status.READY) == []


def test_a_record_that_never_existed_cannot_be_changed(images: ImageRepository) -> None:
    image = an_image()
    with pytest.raises(Stale):
        images.update(image.id, 1, {"title": "x"})
    with pytest.raises(Stale):
        images.delete(image.id, 1, tombstone_of(image))
    with pytest.raises(Stale):
        images.remove(image.id, 1)
    assert images.get(image.id) is None
    assert ids(images) == []
    assert unfinished(images) == set()


def test_of_racing_updates_from_one_version_exactly_one_wins(images: ImageRepository) -> None:
    image = stored(images)
    results = race(lambda number: images.update(image.id, 1, {"title": str(number), "tags": [f"t{number}"]}))
    (winner,) = winners(results)
    assert all(isinstance(each, Stale) for number, each in enumerate(results) if number != winner)
    assert images.get(image.id) == results[winner]
    eventually(lambda: [number for number in range(24) if ids(images, tags=(f"t{number}",))], [winner])


def test_of_a_racing_update_delete_and_remove_exactly_one_wins(images: ImageRepository) -> None:
    for _ in range(5):
        image = stored(images)
        actions = [
            lambda image=image: images.update(image.id, 1, {"title": "x"}),
            lambda image=image: images.delete(image.id, 1, tombstone_of(image)),
            lambda image=image: images.remove(image.id, 1),
        ]
        results = race(lambda number, actions=actions: actions[number % 3](), racers=9)
        (winner,) = winners(results)
        assert all(isinstance(each, Stale) for number, each in enumerate(results) if number != winner)
        found = images.get(image.id)
        assert type(found) is {0: Image, 1: Tombstone, 2: type(None)}[winner % 3]


def test_retried_updates_of_different_fields_all_survive(images: ImageRepository) -> None:
    image = stored(images)
    fields = ["title", "alt", "camera", "thumbhash", "dominant_color", "rendering_id"]

    def persist(number: int) -> None:
        while True:
            found = images.get(image.id)
            assert isinstance(found, Image)
            try:
                images.update(image.id, found.version, {fields[number]: "mine"})
            except Stale:
                continue
            return

    race(persist, racers=len(fields))
    found = images.get(image.id)
    assert isinstance(found, Image)
    assert [getattr(found, field) for field in fields] == ["mine"] * len(fields)
    assert found.version == 1 + len(fields)


@pytest.mark.moto
def test_a_deleted_record_is_its_tombstone_and_in_no_list(images: ImageRepository) -> None:
    image = stored(images, status=Status.READY, tags=["a", "b"])
    other = stored(images)
    tombstone = tombstone_of(image)
    images.delete(image.id, 1, tombstone)
    assert images.get(image.id) == tombstone
    assert image.id not in ids(images) + ids(images, content_type="image/jpeg")
    assert ids(images, status=Status.READY) == ids(images, tags=("a",)) == ids(images, tags=("b",)) == []
    eventually(lambda: ids(images), [other.id])
    with pytest.raises(Stale):
        images.update(image.id, 2, {"title": "late"})
    with pytest.raises(Stale):
        images.delete(image.id, 2, tombstone)
    with pytest.raises(Stale):
        images.remove(image.id, 2)
    assert images.get(image.id) == tombstone


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_not_deleted_or_removed(images: ImageRepository, version: int) -> None:
    image = stored(images, tags=["a"])
    with pytest.raises(Stale):
        images.delete(image.id, version, tombstone_of(image))
    with pytest.raises(Stale):
        images.remove(image.id, version)
    assert images.get(image.id) == image
    assert images.find_hash(OWNER, image.sha256 or "") == image.id
    eventually(lambda: ids(images, tags=("a",)), [image.id])


@pytest.mark.moto
def test_a_removed_record_leaves_no_trace(images: ImageRepository) -> None:
    image = stored(images, tags=["a"])
    images.remove(image.id, 1)
    assert images.get(image.id) is None
    assert images.find_hash(OWNER, image.sha256 or "") is None
    assert ids(images) == ids(images, tags=("a",)) == ids(images, status=Status.PENDING) == []
    assert ids(images, content_type="image/jpeg") == []
    eventually(lambda: unfinished(images), set())
    with pytest.raises(Stale):
        images.remove(image.id, 1)
    images.create(image, claim=True)
    assert images.get(image.id) == image


def test_many_records_are_removed_without_a_trace_and_changed_ones_stay(images: ImageRepository) -> None:
    tickets = [stored(images, claim=False, upload_expires_at=utcnow()) for _ in range(70)]
    listed = stored(images, tags=["a"])
    shared = stored(images, claim=False, sha256=listed.sha256)  # the pointer of these bytes names the other one
    changed, deleted, kept = stored(images), stored(images), stored(images, sha256="0" * 64)
    images.update(changed.id, 1, {"title": "changed"})
    images.delete(deleted.id, 1, tombstone_of(deleted))
    unknown = an_image()
    gone = {*(ticket.id for ticket in tickets), listed.id, shared.id}
    assert images.remove_all([*tickets, changed, shared, listed, deleted, unknown]) == gone
    assert [image_id for image_id in sorted(gone) if images.get(image_id) is not None] == []
    assert images.find_hash(OWNER, listed.sha256 or "") is None
    assert images.find_hash(OWNER, "0" * 64) == kept.id
    assert isinstance(images.get(changed.id), Image)
    assert isinstance(images.get(deleted.id), Tombstone)
    eventually(lambda: unfinished(images), {changed.id, deleted.id, kept.id})
    eventually(lambda: ids(images), [kept.id, changed.id])
    eventually(lambda: len(images.open_tickets(OWNER, 100)), 0)
    assert images.remove_all([]) == set()


def test_of_removals_at_once_each_record_is_removed_by_one(images: ImageRepository) -> None:
    tickets = [stored(images, claim=False, upload_expires_at=utcnow()) for _ in range(20)]
    results = race(lambda _: images.remove_all(tickets), racers=4)
    removed = sorted(image_id for number in winners(results) for image_id in results[number])  # type: ignore[union-attr] # of winners
    assert removed == sorted(ticket.id for ticket in tickets)


def test_ping_answers(images: ImageRepository) -> None:
    images.ping()


def test_versions_are_those_of_the_records_that_exist(images: ImageRepository) -> None:
    made = [stored(images) for _ in range(3)]
    images.update(made[1].id, 1, {"title": "changed"})
    images.delete(made[2].id, 1, tombstone_of(made[2]))
    ticket = stored(images, upload_expires_at=utcnow() + timedelta(hours=1))
    asked = [image.id for image in (*made, ticket, made[0])]
    expected = {made[0].id: 1, made[1].id: 2, ticket.id: 1}
    assert images.versions([*asked, new_id(), "", "no id"]) == expected
    assert images.versions([]) == {}


def test_versions_of_many_records_are_told_at_once(images: ImageRepository) -> None:
    ids = {stored(images, claim=False).id for _ in range(105)}
    assert images.versions(ids | {new_id() for _ in range(100)}) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("fields", [{}, FULL], ids=["new", "full"])
def test_a_record_is_read_as_it_was_written_without_validation(images: ImageRepository, fields: dict[str, Any]) -> None:
    image = stored(images, owner=STRANGE_OWNER, **fields)
    found = images.get_stored(image.id)
    assert found is not None
    assert found.read() == image
    missing = an_image().model_dump(mode="json")
    for name, value in image.model_dump(mode="json").items():
        assert found.fields().get(name, missing[name]) == value, name


def test_the_key_of_a_stored_record_follows_every_change(images: ImageRepository) -> None:
    image = stored(images)
    keys = {found.key for _ in range(2) if (found := images.get_stored(image.id))}
    assert len(keys) == 1
    changes: list[dict[str, Any]] = [{"title": "A title"}, {"title": None}, {"tags": ["sea"]}, {}]
    for each in changes:
        image = images.update(image.id, image.version, each)
        found = images.get_stored(image.id)
        assert found is not None
        assert found.key not in keys
        keys.add(found.key)


def test_only_records_are_read_without_validation(images: ImageRepository) -> None:
    image = stored(images)
    images.delete(image.id, image.version, tombstone_of(image))
    assert images.get_stored(image.id) is None
    assert images.get_stored(new_id()) is None
