"""Counts that a crash, a refusal or a lost answer has left wrong, and their recount."""

from collections.abc import Callable

import pytest

from app.domain.models import Status
from tests.contract.records import OWNER, PROCESSED, stored
from tests.faults.oracle import miscounted
from tests.faults.scene import Scene
from tests.faults.test_steps import every_step
from tests.faults.wire import answer_lost, crash, first, refused
from tests.tiers import smoke

pytestmark = pytest.mark.moto

WEEK = 8 * 24
FAULTS = {"refused": refused("AccessDeniedException"), "answers lost": answer_lost}


@pytest.mark.parametrize("fault", smoke(FAULTS))
def test_counts_that_were_lost_or_added_twice_are_corrected(scene: Scene, hurried: None, fault: str) -> None:
    def changes() -> None:
        images = scene.side.images
        made = [stored(images, owner=owner, claim=False) for owner in (OWNER, OWNER, "bob", "carl")]
        images.update(made[0].id, 1, PROCESSED)
        images.remove(made[1].id, 1)
        images.remove(made[3].id, 1)

    changes()
    scene.recount()
    turns = iter(range(100))

    def script(operation: str) -> object:
        return FAULTS[fault] if operation == "UpdateItem" and next(turns) % 2 == 0 else None

    with scene.wire.under(script):  # type: ignore[arg-type] # of the parameter
        changes()
    assert miscounted(scene.side) != []
    scene.recount()  # of new owners only
    assert {sentence.rpartition(": ")[2] for sentence in miscounted(scene.side)} >= {OWNER}
    assert scene.recount(WEEK) >= 2
    assert miscounted(scene.side) == []
    assert [each.owner for each in scene.side.counters.list(9)] == [OWNER, "bob"]


@pytest.mark.slow
def test_a_recount_that_ends_anywhere_is_finished_by_the_next(scene: Scene) -> None:
    def prepare(number: int) -> Callable[[], object]:
        for owner in (OWNER, "bob"):
            with scene.wire.under(lambda operation: refused("x") if operation == "UpdateItem" else None):
                stored(scene.side.images, owner=owner, claim=False)
            stored(scene.side.images, owner=owner, claim=False, status=Status.READY, work={})
        return lambda: scene.recount(number * WEEK)

    steps = every_step(scene, prepare, lambda: crash)
    assert steps >= 6
    scene.recount((steps + 2) * WEEK)
    assert miscounted(scene.side) == []


@pytest.mark.slow
def test_uploads_at_any_step_of_a_recount_are_counted_once(scene: Scene) -> None:
    stored(scene.side.images, claim=False)

    def change() -> None:
        image = stored(scene.side.images, claim=False)
        scene.side.images.update(image.id, 1, PROCESSED)

    every_step(scene, lambda number: lambda: scene.recount(number * WEEK), lambda: first(change))
    assert miscounted(scene.side) == []


@pytest.mark.slow
def test_two_recounts_at_once_correct_once(scene: Scene) -> None:
    with scene.wire.under(lambda operation: refused("x") if operation == "UpdateItem" else None):
        for _ in range(3):
            stored(scene.side.images, claim=False)
    stored(scene.side.images, claim=False)
    number = 0
    while True:
        number += 1
        with scene.wire.at(number, first(lambda: scene.recount(number * WEEK))):  # noqa: B023 - called within
            scene.recount(number * WEEK)
        assert miscounted(scene.side) == []
        if len(scene.wire.requests) < number:
            break
    assert number >= 5
