"""Each operation ends at each call of a port. Then everything is repaired, and nothing is left."""

import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.visibility.stage import LATER, TRASH_ENDS, Operation, Stage
from tests.visibility.steps import Crash, CrashAt, Step

#: More calls than any operation makes.
MOST = 80


def was_hidden(stage: Stage) -> None:
    """Hide an image, and end before its public variants are removed."""
    stage.upload(public=True)
    end_at(stage, stage.hide, "delete_prefix")


def was_trashed(stage: Stage) -> None:
    """Move a public image to the trash."""
    stage.upload(public=True)
    stage.trash()


def was_trashed_pending(stage: Stage) -> None:
    """Move a public image to the trash before it is processed."""
    stage.upload(public=True, ready=False)
    stage.trash()


def was_rendered(stage: Stage) -> None:
    """Render an image twice: its first rendering is superseded."""
    stage.upload(public=True)
    stage.render()


def end_at(stage: Stage, operation: Operation, method: str) -> None:
    """End an operation before the first call of this method."""

    def step(name: str) -> None:
        if name == method:
            raise Crash

    with pytest.raises(Crash):
        operation(step)


Prepare = Callable[[Stage], None]

#: Operations by name: how to prepare the image, and what to do.
OPERATIONS: dict[str, tuple[Prepare, Callable[[Stage, Step | None], object]]] = {
    "title": (lambda stage: stage.upload(public=True), Stage.title),
    "focal point": (lambda stage: stage.upload(public=True), Stage.focus),
    "publish": (lambda stage: stage.upload(public=False), Stage.publish),
    "hide": (lambda stage: stage.upload(public=True), Stage.hide),
    "reprocess": (lambda stage: stage.upload(public=False), Stage.reprocess),
    "first rendering": (lambda stage: stage.upload(public=True, ready=False), Stage.process),
    "other rendering": (lambda stage: stage.upload(public=True), Stage.render),
    "delete": (lambda stage: stage.upload(public=True), Stage.delete),
    "trash": (lambda stage: stage.upload(public=True), Stage.trash),
    "restore": (was_trashed, Stage.restore),
    "trash of a private image": (lambda stage: stage.upload(public=False), Stage.trash),
    "processing in the trash": (was_trashed_pending, Stage.process),
    "end of the trash": (was_trashed, lambda stage, step: stage.reconcile(step, after=TRASH_ENDS)),
    "sweep": (was_rendered, lambda stage, step: stage.reconcile(step, after=LATER[3])),
    "task hide": (was_hidden, lambda stage, step: stage.reconcile(step, after=timedelta(0))),
    "last task hide": (was_hidden, Stage.reconcile),
}

#: Those that the quick tests walk through.
QUICK = frozenset({"publish", "hide", "other rendering", "restore"})
#: Those that a queue repeats.
DELIVERIES = frozenset({"first rendering", "other rendering", "processing in the trash"})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in OPERATIONS]
)
def test_a_crash_at_any_call_is_repaired(stage: Stage, name: str) -> None:
    prepare, operation = OPERATIONS[name]
    for number in range(MOST):
        prepare(stage)
        crash = CrashAt(number)
        with contextlib.suppress(Crash):
            operation(stage, crash)
        stage.check_complete()  # even before anything is repaired
        stage.recover(redeliver=name in DELIVERIES)
        if not crash.happened:
            break
    assert 2 <= number < MOST


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_ready_image_has_its_variants_at_each_moment(stage: Stage, name: str) -> None:
    prepare, operation = OPERATIONS[name]
    prepare(stage)
    operation(stage, lambda _: stage.check_complete())
    stage.check_public()


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_crash_and_an_edit_before_the_repair(self_hosted: Stage, name: str) -> None:
    """The interrupted attempt stores other renderings, or at another place, than the next one."""
    stage = self_hosted
    prepare, operation = OPERATIONS[name]
    for number in range(MOST):
        prepare(stage)
        crash = CrashAt(number)
        with contextlib.suppress(Crash):
            operation(stage, crash)
        if not stage.deleted and stage.side.images.versions([stage.image_id]):
            stage.restore()
            stage.focus()
            (stage.publish, stage.hide)[number % 2]()
            stage.check_complete()
        stage.recover(redeliver=name in DELIVERIES)
        if not crash.happened:
            break
    assert 2 <= number < MOST
