"""Records that functions of this version and of 0.1.0 changed in turns, as may happen during a deployment.

Both versions ran on DynamoDB Local and wrote the items of `side_by_side.json`. This version created each image, as
public, and processed the images of `rendered_again` (with another recipe) and `deleted`, and `late_event`, which it
deleted too; it hid that of `hidden`. Then a worker of 0.1.0 processed it, ran into its time limit (`timed_out`) or got
an event of a deleted image (`late_event`), or an API of 0.1.0 deleted it. Times were moved back by a year, and the
expiry of tombstones forward by 300 years.
"""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.images.notifications import object_created
from app.domain.keys import original_key, processed_prefix
from app.domain.limits import Limits
from app.domain.maintenance.orphans import Orphans
from app.domain.maintenance.report import Report
from app.domain.models import Image, Status, Tombstone, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.recipe import DEFAULT_RECIPE
from app.domain.work import RENDERING_LIFE, Task
from app.worker.process import Worker
from tests.faults.oracle import unrest
from tests.sides import SIDES, Side
from tests.upgrades.test_older_data import FOLDER, InProcess, write_items

SCENARIOS: dict[str, Any] = json.loads((FOLDER / "side_by_side.json").read_text())
LIVE = ["processed", "rendered_again", "timed_out", "hidden"]
DELETED = ["deleted", "deleted_unfinished", "late_event"]
OWNER = "ann"


def original() -> bytes:
    """The bytes that all of these images have."""
    objects = json.loads((FOLDER / "on_aws.json").read_text())["objects"]
    return base64.b64decode(next(content for key, content in objects.items() if key.startswith("originals/")))


@dataclass
class Both:
    """The image of a scenario, on this version."""

    side: Side
    id: str
    scratch: Path

    @property
    def image(self) -> Image:
        found = self.side.images.get(self.id)
        assert isinstance(found, Image)
        return found

    def work(self) -> Image:
        """Process the image, as an event asks for."""
        worker = Worker(
            self.side.store, self.side.images, self.side.renderings, InProcess(),  # type: ignore[arg-type]  # it has all that is called
            recipe=DEFAULT_RECIPE, limits=Limits(), adopt=False, scratch=self.scratch, max_attempts=3,
        )  # fmt: skip
        worker.handle(self.id)
        return self.image

    def reconcile(self, hours: float) -> Report:
        """Run reconcile as if `hours` had passed, without errors."""
        report = self.side.reconciler.run(now=utcnow() + timedelta(hours=hours))
        assert report.errors == 0
        return report

    def listed(self, **fields: Any) -> list[str]:
        return [image.id for image in self.side.images.list(ListQuery(OWNER, 10, **fields)).items]


@pytest.fixture(params=["moto", pytest.param("engines", marks=pytest.mark.engines)])
def both(request: pytest.FixtureRequest, scenario: str, tmp_path: Path) -> Iterator[Both]:
    left = SCENARIOS[scenario]
    whole = original()
    objects = {key: whole if key.startswith("originals/") else b"a variant" for key in left["objects"]}
    with SIDES[request.param](tmp_path) as side:
        write_items(side, left["items"], objects)
        yield Both(side, left["id"], tmp_path)


@pytest.mark.moto
@pytest.mark.parametrize(
    ("scenario", "status", "work", "superseded"),
    [
        ("processed", Status.READY, {Task.PROCESS}, 0),
        ("rendered_again", Status.READY, {Task.SWEEP}, 1),
        ("timed_out", Status.FAILED, {Task.PROCESS, Task.SWEEP}, 1),
        ("hidden", Status.READY, {Task.PROCESS, Task.HIDE}, 0),
    ],
)
def test_records_of_a_worker_of_0_1_0_are_read(
    both: Both, scenario: str, status: Status, work: set[Task], superseded: int
) -> None:
    image = both.image
    assert (image.status, set(image.work), len(image.superseded)) == (status, work, superseded)
    assert image.visibility is (Visibility.PRIVATE if scenario == "hidden" else Visibility.PUBLIC)
    assert image.placed is Visibility.PRIVATE, "it stores below the private prefix"
    assert both.listed(status=status, tags=("sea",), content_type="image/jpeg") == [both.id]
    assert list(both.side.images.owned(OWNER)) == [both.id]
    for variant in image.variants:
        assert both.side.store.find(f"{processed_prefix(image.id, image.rendering_id)}{variant.file}")


@pytest.mark.parametrize("scenario", LIVE)
def test_tasks_that_it_left_do_no_harm(both: Both, scenario: str) -> None:
    """It removes the pointer of unfinished work when it has finished, and leaves the tasks."""
    for hours in (1, 30):
        both.reconcile(hours)
        assert both.image.status is not Status.PENDING
    changed = both.side.images.update(both.id, both.image.version, {"title": "t", "work": {Task.SWEEP: None}})
    assert both.image == changed
    assert both.side.unfinished() == ([both.id] if changed.work else []), "the pointer is written again"
    for hours in (1, 30):
        both.reconcile(hours)
    assert both.image.work == {}
    assert both.side.unfinished() == []
    published = scenario == "processed"  # `process` was found to be done: reconcile moves what the worker has made
    assert both.image.placed is (Visibility.PUBLIC if published else Visibility.PRIVATE)


@pytest.mark.parametrize("scenario", LIVE)
def test_rendering_again_completes_the_record(both: Both) -> None:
    both.side.editor.reprocess(OWNER, both.id)
    image = both.work()
    assert (image.status, image.placed, image.work.keys() - {Task.SWEEP}) == (
        Status.READY, image.visibility, {Task.HIDE} & image.work.keys(),
    )  # fmt: skip
    images: Any = both.side.images
    item = images._client.get_item(TableName=images._table, Key={"ImageID": {"S": both.id}})["Item"]
    assert not {"privacy", "stale_renderings", "declared_type"} & item.keys()
    both.reconcile(1 + RENDERING_LIFE / timedelta(hours=1))
    assert unrest(both.side) == []


@pytest.mark.parametrize("scenario", LIVE)
def test_variants_move_to_the_public_prefix_and_back(both: Both) -> None:
    image = both.image
    for place in (Visibility.PUBLIC, Visibility.PRIVATE):
        changed = both.side.images.update(image.id, both.image.version, {"placed": place})
        assert changed == both.image
        assert both.image.placed is place
        assert (both.image.privacy_report, both.image.rights, both.image.exif) == (
            image.privacy_report, image.rights, image.exif,
        )  # fmt: skip


@pytest.mark.parametrize("scenario", LIVE)
def test_all_of_it_can_be_deleted(both: Both) -> None:
    both.side.deletion.delete(OWNER, both.id)
    both.reconcile(1)
    assert both.side.objects() == set()
    assert unrest(both.side, gone={both.id}) == []


@pytest.mark.parametrize("scenario", DELETED)
def test_deletes_that_0_1_0_began_or_met_are_finished(both: Both, scenario: str) -> None:
    found = both.side.images.get(both.id)
    assert isinstance(found, Tombstone)
    assert set(found.work) == (set() if scenario == "deleted" else {Task.PURGE})
    public = f"{processed_prefix(both.id, 'r', public=True)}a.webp"
    both.side.store.put(public, io.BytesIO(b"late"), size=4, content_type="image/webp")
    both.side.queue.send(object_created(original_key(both.id), 1))
    report = both.reconcile(1)
    if scenario == "deleted_unfinished":
        assert report.deletes_finished == 1
        assert both.side.objects() == set()
    else:  # 0.1.0 took it for finished: its pointer is gone, and it does not know the public prefix
        both.side.images.update_tombstone(both.id, {Task.PURGE: None})
        orphans = Orphans(both.side.store, both.side.images, both.side.queue)
        for orphan in orphans.find(report, now=utcnow() + timedelta(days=1)):
            orphans.remove(orphan, report)
        assert both.side.objects() == set()
    assert both.side.unfinished() == []
    assert both.listed() == []
