"""Something happens, or everything ends, between any two requests: the end is that of a clean run."""

from collections.abc import Callable

import pytest

from app.domain.models import FocalPoint, Image, Status
from app.domain.recipe import build_rendering_id
from app.worker.process import Outcome
from tests.faults.scene import RECIPE, Scene, tiered
from tests.faults.wire import Crash, Fault, crash, first

#: More requests than any one operation makes.
MOST = 40


def every_step(scene: Scene, prepare: Callable[[int], Callable[[], object]], fault: Callable[[], Fault]) -> int:
    """Run an operation again and again, with the fault at its first request, its second, ...; how many there were."""
    for number in range(1, MOST):
        operation = prepare(number)
        with scene.wire.at(number, fault()):
            try:
                operation()
            except Crash:
                continue
        if len(scene.wire.requests) < number:
            return number - 1
    raise AssertionError("the operation never ends")


def test_an_upload_that_ends_anywhere(scene: Scene) -> None:
    steps = every_step(scene, lambda number: lambda: scene.upload(number), lambda: crash)
    assert steps >= 2
    for number in range(1, steps + 1):  # a client without an answer asks again
        scene.upload(number)
    scene.come_to_rest()
    assert len(scene.listed(status=Status.READY)) == steps + 1


@pytest.mark.engines
def test_an_upload_that_ends_anywhere_and_is_not_repeated(scene: Scene) -> None:
    steps = every_step(scene, lambda number: lambda: scene.upload(number), lambda: crash)
    scene.come_to_rest()
    assert scene.listed() == scene.listed(status=Status.READY)
    assert 1 <= len(scene.listed()) <= steps + 1


def test_a_worker_that_ends_anywhere(scene: Scene) -> None:
    def prepare(number: int) -> Callable[[], object]:
        image = scene.upload(number).image
        worker = scene.worker()
        return lambda: worker.handle(image.id)

    steps = every_step(scene, prepare, lambda: crash)
    assert steps >= 6
    for folder in scene.scratch.iterdir():  # a killed function takes its disk with it
        folder.rmdir()
    scene.come_to_rest()
    assert len(scene.listed(status=Status.READY)) == steps + 1


@pytest.mark.parametrize("repeated", tiered([True, False]))
def test_a_delete_that_ends_anywhere(scene: Scene, repeated: bool) -> None:
    ids = []

    def prepare(number: int) -> Callable[[], object]:
        ids.append(scene.ready(number).id)
        return lambda: scene.delete(ids[-1])

    steps = every_step(scene, prepare, lambda: crash)
    assert steps >= 5
    if repeated:
        for image_id in ids:
            scene.delete(image_id)
    scene.come_to_rest()
    left = scene.listed()
    assert not repeated or left == []
    assert not set(left) & scene.gone


def test_a_delete_at_any_step_of_processing(scene: Scene) -> None:
    ids = []

    def prepare(number: int) -> Callable[[], object]:
        image = scene.upload(number).image
        ids.append(image.id)
        worker = scene.worker()
        return lambda: worker.handle(image.id)

    every_step(scene, prepare, lambda: first(lambda: scene.delete(ids[-1])))
    scene.come_to_rest()
    assert scene.listed() == ids[-1:]  # the last was undisturbed


def test_processing_at_any_step_of_a_delete(scene: Scene) -> None:
    ids = []

    def prepare(number: int) -> Callable[[], object]:
        ids.append(scene.upload(number).image.id)
        return lambda: scene.delete(ids[-1])

    every_step(scene, prepare, lambda: first(lambda: scene.worker().handle(ids[-1])))
    scene.come_to_rest()
    assert scene.listed() == []
    assert scene.gone == set(ids)


EDITS: list[dict[str, object]] = [
    {"tags": ["other", "sea"]},
    {"title": "by hand", "alt": "told"},
    {"focal_point": FocalPoint(x=0.25, y=1 / 3)},
]


@pytest.mark.parametrize("changes", tiered(EDITS), ids=lambda changes: next(iter(changes)))
def test_an_edit_at_any_step_of_processing(scene: Scene, changes: dict[str, object]) -> None:
    edited: list[Image] = []

    def prepare(number: int) -> Callable[[], object]:
        image = scene.upload(number).image
        edited.append(image)
        worker = scene.worker()

        def process() -> None:
            assert worker.handle(image.id) is Outcome.READY

        return process

    every_step(scene, prepare, lambda: first(lambda: scene.edit(edited[-1].id, **changes)))
    scene.come_to_rest()
    *edited, undisturbed = edited
    for image in edited:
        found = scene.image(image.id)
        assert {name: getattr(found, name) for name in changes} == changes
        assert found.rendering_id == build_rendering_id(RECIPE, found.focal_point)
    assert scene.listed(status=Status.READY) == [image.id for image in (undisturbed, *reversed(edited))]
    if "tags" in changes:
        assert scene.listed(tags=("other",)) == [image.id for image in reversed(edited)]
