"""Promises of `ImageRepository` about tasks: changed by name, and found when they are due."""

from datetime import datetime, timedelta

import pytest

from app.domain.errors import AlreadyExists, Stale
from app.domain.ids import new_id
from app.domain.models import Image, Status, Tombstone, utcnow
from app.domain.ports import ImageRepository
from app.domain.work import LONGEST_DELAY, Task, Tasks, Work
from tests.contract.conftest import Many
from tests.contract.races import eventually, race
from tests.contract.records import FULL, OWNER, PROCESSED, a_query, stored, tombstone_of, unfinished, walk

HOUR = timedelta(hours=1)
NOW = utcnow()


def task(hours: float = 0, *, since: datetime = NOW) -> Work:
    """A task that is due that many hours after `since`."""
    return Work(since=since, due=since + hours * HOUR)


def with_work(images: ImageRepository, **work: Work) -> str:
    """Store a record with these tasks; return its id."""
    return stored(images, claim=False, status=Status.READY, work=work).id


def work_of(images: ImageRepository, image_id: str) -> Tasks:
    found = images.get(image_id)
    assert found is not None
    return found.work


@pytest.mark.moto
def test_tasks_are_added_replaced_and_removed_by_name(images: ImageRepository) -> None:
    image = stored(images)
    assert list(image.work) == [Task.PROCESS]
    sweep = Work(since=NOW, due=NOW + HOUR, tries=3)
    changes: list[dict[Task, Work | None]] = [
        {Task.SWEEP: sweep, Task.HIDE: task()},
        {Task.SWEEP: sweep.retry(NOW + 2 * HOUR)},
        {Task.PROCESS: None, Task.INVALIDATE: None},
        {},
    ]
    expected = dict(image.work)
    for version, work in enumerate(changes, 1):
        updated = images.update(image.id, version, {"work": work})
        expected = {name: each for name, each in (expected | work).items() if each is not None}
        assert updated.work == work_of(images, image.id) == expected
    assert expected == {Task.SWEEP: Work(since=NOW, due=NOW + 2 * HOUR, tries=4), Task.HIDE: task()}


def test_the_last_task_can_be_removed(images: ImageRepository) -> None:
    image = stored(images)
    updated = images.update(image.id, 1, PROCESSED)
    assert updated.work == work_of(images, image.id) == {}
    assert updated.status is Status.READY
    again = images.update(image.id, 2, {"status": Status.PENDING})
    assert again.work == work_of(images, image.id) == {}, "a task is added by its name alone"


def test_an_update_of_other_fields_keeps_the_tasks(images: ImageRepository) -> None:
    image = stored(images, **FULL)
    updated = images.update(image.id, 1, {"title": "new", "status": Status.READY})
    assert updated.work == work_of(images, image.id) == FULL["work"]


def test_a_stale_update_changes_no_task(images: ImageRepository) -> None:
    image = stored(images)
    with pytest.raises(Stale):
        images.update(image.id, 2, {"work": {Task.PROCESS: None, Task.HIDE: task(-1)}})
    assert work_of(images, image.id) == image.work
    eventually(lambda: list(images.due(NOW)), [])


def test_concurrent_changes_of_different_tasks_all_survive(images: ImageRepository) -> None:
    image = stored(images)
    tasks = [Task.SWEEP, Task.HIDE, Task.PURGE, Task.INVALIDATE, Task.PROCESS]

    def persist(number: int) -> None:
        work = {tasks[number]: None if tasks[number] is Task.PROCESS else task(number)}
        while True:
            found = images.get(image.id)
            assert isinstance(found, Image)
            try:
                images.update(image.id, found.version, {"work": work})
            except Stale:
                continue
            return

    race(persist, racers=len(tasks))
    assert work_of(images, image.id) == {name: task(number) for number, name in enumerate(tasks[:4])}


@pytest.mark.moto
def test_due_yields_what_is_due_until_then(images: ImageRepository) -> None:
    hours = [3, -2, 1, -9, 0, 12, -1]
    made = {number: with_work(images, hide=task(number)) for number in hours}
    finished = with_work(images)
    for horizon in sorted(hours):
        expected = {made[number] for number in hours if number <= horizon}
        eventually(lambda horizon=horizon: set(images.due(NOW + horizon * HOUR)), expected)
    assert set(images.due(NOW - timedelta(seconds=1))) == {made[number] for number in (-9, -2, -1)}
    assert finished not in unfinished(images)


def test_a_record_is_due_with_its_first_task(images: ImageRepository) -> None:
    image_id = with_work(images, process=task(5), sweep=task(2), purge=task(9))
    eventually(lambda: unfinished(images), {image_id})
    assert list(images.due(NOW + 2 * HOUR)) == [image_id]
    images.update(image_id, 1, {"work": {Task.SWEEP: None}})
    eventually(lambda: list(images.due(NOW + 4 * HOUR)), [])
    assert list(images.due(NOW + 5 * HOUR)) == [image_id]
    images.update(image_id, 2, {"work": {Task.PROCESS: task(8), Task.HIDE: task(-1)}})
    eventually(lambda: list(images.due(NOW)), [image_id])
    images.update(image_id, 3, {"work": dict.fromkeys(Task)})
    eventually(lambda: unfinished(images), set())


def test_an_update_of_other_fields_leaves_the_due_time(images: ImageRepository) -> None:
    image_id = with_work(images, hide=task(1))
    images.update(image_id, 1, {"title": "new", "tags": ["a"], "status": Status.FAILED})
    eventually(lambda: list(images.due(NOW + HOUR)), [image_id])
    assert list(images.due(NOW)) == []


def test_tasks_written_before_the_clock_was_set_back_are_due(images: ImageRepository) -> None:
    years_ahead = NOW + timedelta(days=1000)
    implausible = {
        with_work(images, process=task(0.25, since=years_ahead)),
        with_work(images, hide=task(LONGEST_DELAY / HOUR, since=years_ahead)),
    }
    plausible = with_work(images, sweep=task(24))
    distant = with_work(images, purge=task(24 * 30))
    eventually(lambda: set(images.due(NOW)), implausible)
    assert set(images.due(NOW + timedelta(days=2))) == {*implausible, plausible}
    assert set(images.due(NOW + timedelta(days=30))) == {*implausible, plausible, distant}
    assert list(images.due(NOW + timedelta(days=29))).count(distant) == 0


def test_tasks_can_be_moved_and_removed_while_they_are_walked(images: ImageRepository, many: Many) -> None:
    expected = {with_work(images, hide=task(-number)) for number in range(many(40))}
    eventually(lambda: set(images.due(NOW)), expected)
    seen = []
    for image_id in images.due(NOW):
        seen.append(image_id)
        images.update(image_id, 1, {"work": {Task.HIDE: None if len(seen) % 2 else task(1)}})
    assert sorted(seen) == sorted(expected)
    eventually(lambda: list(images.due(NOW)), [])


def test_a_walk_ends_although_its_tasks_stay_due(images: ImageRepository, many: Many) -> None:
    expected = {with_work(images, hide=task(-1 - number)) for number in range(many(40))}
    eventually(lambda: set(images.due(NOW)), expected)
    seen = []
    for image_id in images.due(NOW):
        found = images.get(image_id)
        assert isinstance(found, Image)
        images.update(image_id, found.version, {"work": {Task.HIDE: found.work[Task.HIDE].retry(NOW)}})
        seen.append(image_id)
        assert len(seen) <= 2 * len(expected)
    assert set(seen) == expected


def test_the_work_of_a_tombstone_is_changed_by_name(images: ImageRepository) -> None:
    image = stored(images)
    tombstone = tombstone_of(image)
    assert list(tombstone.work) == [Task.PURGE]
    images.delete(image.id, 1, tombstone)
    eventually(lambda: list(images.due(utcnow())), [image.id])
    images.update_tombstone(image.id, {Task.INVALIDATE: task(-1), Task.PURGE: tombstone.work[Task.PURGE].retry(NOW)})
    expected = {Task.INVALIDATE: task(-1), Task.PURGE: tombstone.work[Task.PURGE].retry(NOW)}
    assert images.get(image.id) == tombstone.model_copy(update={"work": expected})
    images.update_tombstone(image.id, {Task.PURGE: None, Task.SWEEP: None})
    assert work_of(images, image.id) == {Task.INVALIDATE: task(-1)}
    images.update_tombstone(image.id, {Task.INVALIDATE: task(2)})
    eventually(lambda: list(images.due(NOW + HOUR)), [])
    assert list(images.due(NOW + 2 * HOUR)) == [image.id]
    for _ in range(2):
        images.update_tombstone(image.id, {Task.INVALIDATE: None})
        assert images.get(image.id) == tombstone.model_copy(update={"work": {}})
    eventually(lambda: unfinished(images), set())


def test_a_record_or_nothing_is_no_tombstone(images: ImageRepository) -> None:
    image = stored(images)
    unknown = new_id()
    for image_id in (image.id, unknown):
        images.update_tombstone(image_id, {Task.PURGE: task(-1), Task.PROCESS: None})
    assert images.get(image.id) == image
    assert images.get(unknown) is None
    eventually(lambda: unfinished(images), {image.id})
    assert list(images.due(NOW)) == []


def test_a_tombstone_outlives_its_time_until_its_work_is_finished(images: ImageRepository) -> None:
    image = stored(images)
    tombstone = tombstone_of(image, seconds=-3600)
    images.delete(image.id, 1, tombstone)
    images.update_tombstone(image.id, {Task.INVALIDATE: task()})
    other = stored(images)
    images.delete(other.id, 1, tombstone_of(other))  # the moment at which expired tombstones may be removed
    assert isinstance(images.get(image.id), Tombstone)
    with pytest.raises(AlreadyExists):
        images.create(image, claim=False)
    images.update_tombstone(image.id, {Task.PURGE: None})
    assert isinstance(images.get(image.id), Tombstone)
    eventually(lambda: unfinished(images), {image.id, other.id})
    images.update_tombstone(image.id, {Task.INVALIDATE: None})
    assert images.get(image.id) is None
    eventually(lambda: unfinished(images), {other.id})


def test_new_work_keeps_a_finished_tombstone_from_expiring(images: ImageRepository) -> None:
    image = stored(images)
    tombstone = tombstone_of(image, seconds=3600)
    images.delete(image.id, 1, tombstone)
    images.update_tombstone(image.id, {Task.PURGE: None})
    images.update_tombstone(image.id, {Task.PURGE: task(1)})
    assert images.get(image.id) == tombstone.model_copy(update={"work": {Task.PURGE: task(1)}})
    eventually(lambda: list(images.due(NOW + HOUR)), [image.id])


def test_an_expired_tombstone_is_absent(images: ImageRepository) -> None:
    image = stored(images)
    images.delete(image.id, 1, tombstone_of(image, seconds=0.3))
    images.update_tombstone(image.id, {Task.PURGE: None})
    eventually(lambda: images.get(image.id), None)
    images.update_tombstone(image.id, {Task.PURGE: task()})
    assert images.get(image.id) is None
    with pytest.raises(Stale):
        images.update(image.id, 2, {})
    images.create(image, claim=True)
    assert images.get(image.id) == image
    eventually(lambda: walk(images, a_query()), [image])


@pytest.mark.moto
def test_everything_of_an_owner_is_found_and_nothing_of_others(images: ImageRepository) -> None:
    in_a_day = utcnow() + timedelta(days=1)
    pending, ready, failed = (stored(images, tags=["a", "b"]) for _ in range(3))
    images.update(ready.id, 1, PROCESSED)
    images.update(failed.id, 1, {"status": Status.FAILED, "work": {Task.PROCESS: None}})
    tickets = [stored(images, claim=False, upload_expires_at=in_a_day) for _ in range(4)]
    past = stored(images, claim=False, upload_expires_at=utcnow() - HOUR)
    images.update(tickets[1].id, 1, {"arrived_at": utcnow()})
    images.update(tickets[2].id, 1, {"arrived_at": utcnow()})
    images.update(tickets[2].id, 2, {"upload_expires_at": None, **PROCESSED})
    images.update(tickets[3].id, 1, {"upload_expires_at": None})
    gone = [stored(images), stored(images, claim=False, upload_expires_at=in_a_day)]
    arrived = stored(images, claim=False, upload_expires_at=in_a_day)
    images.update(arrived.id, 1, {"arrived_at": utcnow()})
    images.delete(gone[0].id, 1, tombstone_of(gone[0]))
    images.remove(gone[1].id, 1)
    images.remove(arrived.id, 2)
    theirs = [stored(images, owner=owner, claim=False).id for owner in ("ada2", "ad", "ada#", "bob")]
    theirs.append(stored(images, owner="bob", claim=False, upload_expires_at=in_a_day).id)
    mine = sorted(image.id for image in (pending, ready, failed, past, *tickets))
    eventually(lambda: sorted(images.owned(OWNER)), mine)
    eventually(lambda: sorted(images.owned("bob")), sorted(theirs[-2:]))
    assert list(images.owned("nobody")) == []


def test_an_owner_s_records_can_be_deleted_while_they_are_walked(images: ImageRepository, many: Many) -> None:
    expected = {stored(images, claim=False).id for _ in range(many(40))}
    eventually(lambda: set(images.owned(OWNER)), expected)
    seen = []
    for image_id in images.owned(OWNER):
        found = images.get(image_id)
        assert isinstance(found, Image)
        images.delete(image_id, found.version, tombstone_of(found))
        seen.append(image_id)
    assert sorted(seen) == sorted(expected)
    eventually(lambda: list(images.owned(OWNER)), [])


@pytest.mark.moto
def test_a_scan_yields_every_record_after_the_one_named(images: ImageRepository) -> None:
    assert list(images.scan()) == []
    made = [stored(images, tags=["a", "b"], owner=owner) for owner in ("ada", "bob", "ada", "eve")]
    made.append(stored(images, claim=False, upload_expires_at=utcnow()))
    gone = stored(images)
    images.delete(gone.id, 1, tombstone_of(gone))
    made[1] = images.update(made[1].id, 1, {"title": "new", **PROCESSED})
    found = list(images.scan())
    assert sorted(found, key=lambda image: image.id) == made
    for number, image in enumerate(found):
        assert list(images.scan(image.id)) == found[number + 1 :]


def test_records_can_be_changed_while_they_are_scanned(images: ImageRepository, many: Many) -> None:
    made = sorted(stored(images, claim=False).id for _ in range(many(40)))
    seen = [images.update(image.id, 1, {"title": "seen"}).id for image in images.scan()]
    assert sorted(seen) == made
    assert {image.title for image in images.scan()} == {"seen"}
