"""Operations on one image at the same time, in every order of their calls that matters, and in random ones."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.adapters.sqlite import SqliteImages
from app.domain.errors import DarkroomError
from tests.visibility.stage import LATER, TRASH_ENDS, Stage, attempt
from tests.visibility.steps import ActAt, Crash, Step, Turns

#: More calls than any operation makes.
MOST = 80


def hide_and_publish(stage: Stage, step: Step | None = None) -> None:
    stage.hide(step)
    stage.publish(step)


def publish_and_hide(stage: Stage, step: Step | None = None) -> None:
    stage.publish(step)
    stage.hide(step)


def focus_and_process(stage: Stage, step: Step | None = None) -> None:
    stage.focus(step)
    stage.process(step)


def reprocess_and_process(stage: Stage, step: Step | None = None) -> None:
    stage.reprocess(step)
    stage.process(step)


def run_tasks(stage: Stage, step: Step | None = None) -> None:
    stage.reconcile(step, after=timedelta(0))


def sweep_everything(stage: Stage, step: Step | None = None) -> None:
    stage.reconcile(step, after=LATER[3])


def trash_and_restore(stage: Stage, step: Step | None = None) -> None:
    stage.trash(step)
    stage.restore(step)


def end_of_trash(stage: Stage, step: Step | None = None) -> None:
    stage.reconcile(step, after=TRASH_ENDS)


NAMED: dict[str, Callable[[Stage, Step | None], object]] = {
    "publish": Stage.publish,
    "hide": Stage.hide,
    "render": focus_and_process,
    "render again": reprocess_and_process,
    "process": Stage.process,
    "delete": Stage.delete,
    "sweep": sweep_everything,
    "task hide": Stage.reconcile,
    "tasks": run_tasks,
    "title": Stage.title,
    "hide, publish": hide_and_publish,
    "publish, hide": publish_and_hide,
    "trash": Stage.trash,
    "restore": Stage.restore,
    "trash, restore": trash_and_restore,
    "end of the trash": end_of_trash,
}


def fresh(stage: Stage, public: bool) -> None:
    stage.upload(public=public)


def moved(stage: Stage, public: bool) -> None:
    """Variants at both places, of two renderings, and every task."""
    stage.upload(public=not public)
    stage.render()
    (stage.publish if public else stage.hide)()
    stage.focus()


def trashed(stage: Stage, public: bool) -> None:
    moved(stage, public)
    stage.trash()


STATES: dict[str, Callable[[Stage, bool], None]] = {"fresh": fresh, "moved": moved, "trashed": trashed}
#: Operations of the trash. The latter two do something only there.
TRASH = frozenset({"trash", "trash, restore", "restore", "end of the trash"})
OUT_OF_TRASH = frozenset({"restore", "end of the trash"})
#: Operations that are not refused in the trash.
IN_TRASH = TRASH | {"process", "delete", "sweep", "task hide", "tasks"}


def states_of(first: str, second: str) -> list[str]:
    """Return the states in which two operations do most to each other; none if one of them would be refused."""
    names = {first, second}
    if names & OUT_OF_TRASH:
        return ["trashed"] if names <= IN_TRASH else []
    return ["moved"] if names & TRASH else ["fresh", "moved"]


#: Operations of two changes in turn. Most of their steps are those of each change alone, which is tested too.
LONG = frozenset({"hide, publish", "publish, hide", "trash, restore"})
PAIRS = [
    pytest.param(first, second, marks=pytest.mark.nightly if first in LONG else ())
    for first in NAMED
    for second in NAMED
    if states_of(first, second)
]


def check_end(stage: Stage) -> None:
    """Check the invariants when all operations have ended, and after everything is repaired."""
    stage.check_public()
    stage.deliver()
    stage.check_complete()
    stage.recover()


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_one_operation_at_each_call_of_another(self_hosted: Stage, first: str, second: str) -> None:
    for state in states_of(first, second):
        for public in (True, False):
            at_each_call(self_hosted, state, public, first, second)


@pytest.mark.parametrize(("first", "second"), [("publish", "hide"), ("task hide", "publish"), ("process", "hide")])
def test_one_operation_at_each_call_of_another_quickly(self_hosted: Stage, first: str, second: str) -> None:
    at_each_call(self_hosted, "fresh", first == "process", first, second)


@pytest.mark.parametrize(
    ("state", "first", "second"), [("fresh", "publish", "trash"), ("trashed", "end of the trash", "restore")]
)
def test_the_trash_at_each_call_of_another_quickly(self_hosted: Stage, state: str, first: str, second: str) -> None:
    at_each_call(self_hosted, state, first != "publish", first, second)


def at_each_call(stage: Stage, state: str, public: bool, first: str, second: str) -> None:
    for number in range(MOST):
        STATES[state](stage, public)
        other = ActAt(number, lambda: attempt(lambda step: NAMED[second](stage, step)))
        attempt(lambda step: NAMED[first](stage, step), other)
        if not other.happened:
            break
        check_end(stage)
    assert 1 <= number < MOST


#: Number of random orders in one test.
ORDERS = 60
#: Operations whose calls are mixed in random order.
DELIVERIES = frozenset({"render", "render again", "process"})
MIXED = (
    "publish", "hide", "render", "render again", "process", "sweep", "task hide", "tasks", "title", "trash", "restore",
    "trash, restore",
)  # fmt: skip


def few_changes(dice: random.Random) -> Callable[[list[int]], int]:
    """Choose the same thread for many steps, then another: most faults need few changes at the right steps."""
    stays = dice.choice([0.0, 0.6, 0.8, 0.9])
    last = [-1]

    def choose(waiting: list[int]) -> int:
        if last[0] not in waiting or dice.random() > stays:
            last[0] = dice.choice(waiting)
        return last[0]

    return choose


def mix(stage: Stage, seed: int) -> None:
    """Run two to four operations at once, with their calls in random order. One of them may end in between."""
    dice = random.Random(seed)
    dice.choice(list(STATES.values()))(stage, dice.random() < 0.5)
    names = dice.choices(MIXED, k=dice.randint(2, 4))
    if dice.random() < 0.15:
        names.append("delete")
    ends = {number: dice.randrange(1, 25) for number in range(len(names)) if dice.random() < 0.2}

    def operation(number: int) -> Callable[[Step], object]:
        left = [ends.get(number, -1)]

        def run(turn: Step) -> None:
            def step(name: str) -> None:
                turn(name)
                if left[0] == 0:
                    raise Crash
                left[0] -= 1

            NAMED[names[number]](stage, step)

        return run

    raised = Turns(few_changes(dice)).run([operation(number) for number in range(len(names))])
    for error in raised:
        if error is not None and not isinstance(error, DarkroomError | Crash):
            raise error
    ended = {name for name, error in zip(names, raised, strict=True) if isinstance(error, Crash)}
    if ended:
        stage.recover(redeliver=bool(ended & DELIVERIES))
    else:
        check_end(stage)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_several_operations_in_random_orders(stage: Stage, seed: int) -> None:
    orders = ORDERS if isinstance(stage.side.images, SqliteImages) else ORDERS // 30
    for number in range(seed * orders, (seed + 1) * orders):
        try:
            mix(stage, number)
        except BaseException as error:
            error.add_note(f"order {number}")
            raise
