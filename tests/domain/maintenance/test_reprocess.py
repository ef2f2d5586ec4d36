"""Runs over all images: which are chosen, and how a run is stopped and continued."""

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.maintenance.pace import Pace
from app.domain.maintenance.reprocess import Reprocessing, ReprocessReport, Selection
from app.domain.models import Failure, FailureCode, FocalPoint, Image, Status
from app.domain.recipe import DEFAULT_RECIPE, Recipe, VariantSpec, build_rendering_id
from app.domain.uploads.tickets import RECORD_LIFE
from app.domain.work import Task
from tests.contract.records import PROCESSED, an_image
from tests.sides import Interposed, Side, once

CURRENT = build_rendering_id(DEFAULT_RECIPE, None)
POINT = FocalPoint(x=0.25, y=0.5)


def failure(code: FailureCode) -> Failure:
    return Failure(code=code, detail="A sentence.")


IMAGES: dict[str, dict[str, Any]] = {
    "current": PROCESSED | {"rendering_id": CURRENT},
    "old": PROCESSED | {"rendering_id": "abcdef012345"},
    "moved": PROCESSED | {"rendering_id": CURRENT, "focal_point": POINT},
    "focused": PROCESSED | {"rendering_id": build_rendering_id(DEFAULT_RECIPE, POINT), "focal_point": POINT},
    "timed out": PROCESSED | {"status": Status.FAILED, "error": failure(FailureCode.TIMEOUT)},
    "corrupt": PROCESSED | {"status": Status.FAILED, "error": failure(FailureCode.CORRUPT_IMAGE)},
    "exhausted": PROCESSED
    | {"rendering_id": CURRENT, "reprocess_error": failure(FailureCode.ATTEMPTS_EXHAUSTED)},
    "too large": PROCESSED | {"rendering_id": CURRENT, "reprocess_error": failure(FailureCode.TOO_LARGE)},
    "pending": {},
}  # fmt: skip
STALE = {"old", "moved"}
FAULTS = {"timed out", "exhausted"}
CHOSEN: list[tuple[Selection, bool, set[str]]] = [
    (Selection.STALE, False, STALE),
    (Selection.FAILED, False, FAULTS),
    (Selection.FAILED, True, {*FAULTS, "corrupt", "too large"}),
    (Selection.ALL, False, IMAGES.keys() - {"pending"}),
]


class Scene:
    """Images by name, and runs over them. Of those that were queued the names are noted."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.ids = {name: self._place(changes) for name, changes in IMAGES.items()}
        ticket = an_image(upload_expires_at=an_image().uploaded_at + RECORD_LIFE)
        side.images.create(ticket, claim=False)

    def _place(self, changes: dict[str, Any]) -> str:
        image = an_image()
        self.side.images.create(image, claim=False)
        if changes:
            self.side.images.update(image.id, 1, changes)
        return image.id

    def reprocessing(self, selection: Selection, side: Side | None = None, **options: Any) -> Reprocessing:
        side = side or self.side
        recipe = options.pop("recipe", DEFAULT_RECIPE)
        pace = Pace(side.images, side.queue, ahead=100)
        return Reprocessing(side.images, side.editor, pace, recipe, selection, **options)

    def queued(self) -> set[str]:
        """Names of the images that the queue has events of. Empties the queue."""
        bodies = []
        while messages := self.side.queue.receive(10):
            for message in messages:
                bodies.append(message.body)
                self.side.queue.delete(message.receipt)
        return {name for name, image_id in self.ids.items() if any(image_id in body for body in bodies)}

    def image(self, name: str) -> Image:
        found = self.side.images.get(self.ids[name])
        assert isinstance(found, Image)
        return found


@pytest.fixture
def scene(side: Side) -> Scene:
    return Scene(side)


def never(_: float) -> bool:
    return False


@pytest.mark.parametrize(("selection", "all_codes", "names"), CHOSEN)
def test_the_chosen_images_are_queued_once(
    scene: Scene, selection: Selection, all_codes: bool, names: set[str]
) -> None:
    before = {name: scene.image(name) for name in scene.ids}
    dry = scene.reprocessing(selection, all_codes=all_codes).run(dry_run=True, pause=never)
    assert (dry.queued, dry.looked_at, dry.complete) == (len(names), len(IMAGES) + 1, True)
    assert scene.queued() == set()
    assert {name: scene.image(name) for name in scene.ids} == before
    report = scene.reprocessing(selection, all_codes=all_codes).run(pause=never)
    assert report == dry
    assert scene.queued() == names
    for name, image in before.items():
        kept = image.status if image.status is Status.READY or name not in names else Status.PENDING
        assert scene.image(name).status is kept
        assert (Task.PROCESS in scene.image(name).work) == (name in names or name == "pending")
    again = scene.reprocessing(selection, all_codes=all_codes).run(pause=never)
    assert again.queued == 0
    assert scene.queued() == set()


def test_another_recipe_makes_every_image_stale(scene: Scene) -> None:
    recipe = Recipe(variants=(VariantSpec(name="w9", width=9),))
    report = scene.reprocessing(Selection.STALE, recipe=recipe).run(pause=never)
    assert report.queued == 6
    assert scene.queued() == {"current", "old", "moved", "focused", "exhausted", "too large"}


def test_images_that_wait_are_counted_and_not_sent_again(scene: Scene) -> None:
    scene.side.editor.reprocess(None, scene.ids["old"])
    scene.queued()
    report = scene.reprocessing(Selection.STALE).run(pause=never)
    assert (report.queued, report.in_progress) == (1, 1)
    assert scene.queued() == {"moved"}


def test_trashed_images_are_left_alone(scene: Scene) -> None:
    for name in ("old", "timed out"):
        scene.side.trash().delete(None, scene.ids[name])
    report = scene.reprocessing(Selection.ALL).run(pause=never)
    assert (report.queued, report.skipped) == (len(IMAGES) - 3, 0)
    assert scene.queued() == IMAGES.keys() - {"pending", "old", "timed out"}


def test_one_owner_is_enough(scene: Scene) -> None:
    other = an_image(owner="bob")
    scene.side.images.create(other, claim=False)
    scene.side.images.update(other.id, 1, PROCESSED | {"rendering_id": "abcdef012345"})
    assert scene.reprocessing(Selection.STALE, owner="bob").run(pause=never).queued == 1
    (message,) = scene.side.queue.receive(10)
    assert other.id in message.body


@pytest.mark.parametrize("stops", [*range(12)])
def test_a_run_that_is_stopped_anywhere_is_continued(scene: Scene, stops: int) -> None:
    """It is stopped between any two images, and while it waits for the queue."""
    left = stops

    def pause(_: float) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    first = scene.reprocessing(Selection.ALL).run(pause=pause)
    done = scene.queued()
    assert (len(done), first.complete) == (first.queued, stops > len(IMAGES))
    second = scene.reprocessing(Selection.ALL).run(after=first.last_id, pause=never)
    assert second.looked_at + (first.looked_at if first.last_id else 0) >= len(IMAGES) + 1
    assert done | scene.queued() == IMAGES.keys() - {"pending"}
    assert second.queued + first.queued == len(IMAGES) - 1, "an image was queued twice, or never"


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda side, image_id: side.deletion.delete(None, image_id),
        lambda side, image_id: side.trash().delete(None, image_id),
        lambda side, image_id: side.editor.reprocess(None, image_id),
        lambda side, image_id: side.images.update(image_id, 2, {"rendering_id": CURRENT}),
    ],
    ids=["deleted", "trashed", "reprocessed", "rendered"],
)
def test_images_that_change_meanwhile_are_skipped(scene: Scene, meanwhile: Callable[[Side, str], object]) -> None:
    """The image changes between its scan and its turn."""
    change = once(lambda: meanwhile(scene.side, scene.ids["old"]))
    images = Interposed(scene.side.images, before={"get": lambda *_: change()})
    report = scene.reprocessing(Selection.STALE, scene.side.having(images=images)).run(pause=never)
    assert (report.queued, report.skipped, report.complete) == (1, 1, True)


def test_a_backend_that_fails_ends_the_run_with_a_position(scene: Scene) -> None:
    calls = 0

    def fail_later(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise Unavailable("The database is busy.")

    images = Interposed(scene.side.images, before={"update": fail_later})
    run = scene.reprocessing(Selection.ALL, scene.side.having(images=images))
    with pytest.raises(Unavailable):
        run.run(pause=never)
    assert (run.report.queued, run.report.complete) == (2, False)
    rest = scene.reprocessing(Selection.ALL).run(after=run.report.last_id, pause=never)
    assert rest.queued == len(IMAGES) - 1 - 2
    assert scene.queued() == IMAGES.keys() - {"pending"}


def test_an_empty_table_is_complete(side: Side) -> None:
    pace = Pace(side.images, side.queue)
    run = Reprocessing(side.images, side.editor, pace, DEFAULT_RECIPE, Selection.ALL)
    assert run.run(pause=never) == ReprocessReport(complete=True)


def test_uploads_pass_in_between(side: Side) -> None:
    """A slow worker handles one message during each pause of the command. An upload waits behind few images."""
    for _ in range(12):
        image = an_image()
        side.images.create(image, claim=False)
        side.images.update(image.id, 1, PROCESSED | {"rendering_id": "abcdef012345"})
    handled: list[str] = []

    def work() -> None:
        for message in side.queue.receive(1):
            side.queue.delete(message.receipt)
            handled.append(message.body)
            for image in side.images.scan():
                if image.id in message.body:
                    side.images.update(image.id, image.version, {"work": {Task.PROCESS: None}})

    def pause(seconds: float) -> bool:
        assert side.queue.waiting() <= 3
        if seconds:  # the command waits for the queue
            if len(handled) == 4:
                side.queue.send("an upload")
            work()
        return False

    pace = Pace(side.images, side.queue, ahead=2)
    report = Reprocessing(side.images, side.editor, pace, DEFAULT_RECIPE, Selection.ALL).run(pause=pause)
    assert (report.queued, report.complete) == (12, True)
    assert handled.index("an upload") <= 4 + 2
