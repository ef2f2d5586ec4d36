"""Many requests and a worker on one image, in real threads."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from app.domain.images.patch import Patch
from app.domain.models import Image
from tests.visibility.stage import OWNER, TRASH_ENDS, Stage

pytestmark = pytest.mark.slow

REQUESTS = 32


@pytest.fixture(autouse=True)
def _without_pauses() -> None:
    """Requests wait for each other here, as they do in service."""


def at_once(operations: list[Callable[[], object]]) -> list[object]:
    """Run the operations in threads of their own. Return what each has returned or raised."""
    start = threading.Barrier(len(operations))

    def run(operation: Callable[[], object]) -> object:
        start.wait()
        try:
            return operation()
        except (Conflict, NotFound, PreconditionFailed, Unavailable) as refused:
            return refused

    with ThreadPoolExecutor(len(operations)) as threads:
        return list(threads.map(run, operations))


def current(stage: Stage) -> Image:
    found = stage.image()
    assert isinstance(found, Image)
    return found


def test_each_of_many_edits_is_in_the_record_or_was_refused(stage: Stage) -> None:
    stage.upload(public=True)

    def edit(number: int) -> Callable[[], object]:
        members: dict[str, object] = {"metadata": {f"key.{number}": "set"}}
        if number % 8 == 0:
            members["visibility"] = "private" if number % 16 else "public"
        if number % 8 == 1:
            members["focal_point"] = {"x": number / REQUESTS, "y": 0.5}
        return lambda: stage.side.editor.edit(OWNER, stage.image_id, Patch.parse(members))

    answers = at_once([edit(number) for number in range(REQUESTS)])
    done = {f"key.{number}" for number, answer in enumerate(answers) if isinstance(answer, Image)}
    assert current(stage).metadata.keys() == done
    assert len(done) >= REQUESTS - 2
    stage.check_public()
    stage.deliver()
    stage.recover()


def test_one_of_many_edits_of_a_version_is_done(stage: Stage) -> None:
    stage.upload(public=False)
    version = current(stage).version

    def edit(number: int) -> Callable[[], object]:
        patch = Patch.parse({"title": f"title {number}"})
        return lambda: stage.side.editor.edit(OWNER, stage.image_id, patch, version)

    answers = at_once([edit(number) for number in range(REQUESTS)])
    done = [answer for answer in answers if isinstance(answer, Image)]
    assert len(done) == 1
    assert current(stage).title == done[0].title
    assert sum(isinstance(answer, PreconditionFailed) for answer in answers) == REQUESTS - 1
    stage.recover()


def test_a_storm_of_moves_beside_a_worker_and_reconcile(stage: Stage) -> None:
    stage.upload(public=True)
    end = time.monotonic() + 4

    def repeat(seed: int, *operations: Callable[[], object]) -> Callable[[], object]:
        dice = random.Random(seed)

        def run() -> None:
            while time.monotonic() < end:
                try:
                    dice.choice(operations)()
                except (Conflict, Unavailable):
                    continue

        return run

    moves = [repeat(seed, stage.publish, stage.hide) for seed in range(4)]
    moves += [repeat(seed, stage.trash, stage.restore, stage.restore) for seed in range(2)]
    workers = [repeat(seed, stage.process) for seed in range(2)]
    at_once(
        [
            *moves,
            *workers,
            repeat(1, stage.focus, stage.reprocess),
            repeat(1, stage.title),
            repeat(1, stage.side.reconciler.run),
        ]
    )
    stage.check_public()
    stage.deliver()
    stage.check_complete()
    stage.recover()


def test_either_the_restore_or_the_end_of_the_trash_wins(stage: Stage) -> None:
    for _ in range(10):
        stage.upload(public=True)
        stage.trash()
        restored, *_ = at_once([lambda: stage.side.trash().restore(OWNER, stage.image_id), end_of_trash(stage)])
        assert isinstance(stage.image(), Image) == isinstance(restored, Image)
        stage.check_public()
        stage.check_complete()
        stage.recover()


def end_of_trash(stage: Stage) -> Callable[[], object]:
    return lambda: stage.reconcile(after=TRASH_ENDS)


@pytest.mark.parametrize("public", [True, False])
def test_a_delete_among_moves_is_final(stage: Stage, public: bool) -> None:
    for _ in range(5):
        stage.upload(public=public)
        at_once([stage.hide if public else stage.publish, stage.process, stage.delete, stage.title])
        stage.check_public()
        stage.recover()
