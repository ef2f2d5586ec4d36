"""Tasks of an image: each outcome removes its own, and records of older versions are repaired."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import ImageError, PreconditionFailed, Unavailable
from app.domain.keys import processed_prefix
from app.domain.maintenance.orphans import Orphans
from app.domain.maintenance.report import Report
from app.domain.models import FailureCode, Image, Status, Visibility, utcnow
from app.domain.work import Task, Work
from app.worker.jobs import Job, Processed
from tests.visibility import stage as staging
from tests.visibility.stage import Stage
from tests.visibility.steps import Crash


def current(stage: Stage) -> Image:
    found = stage.image()
    assert isinstance(found, Image)
    return found


def change(stage: Stage, **changes: Any) -> Image:
    return stage.side.images.update(stage.image_id, current(stage).version, changes)


def test_a_failed_attempt_leaves_the_task_of_a_later_request(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    class Failing(staging.Painter):
        def process(self, source: Path, out: Path, job: Job) -> Processed:
            attempts.append(1)
            if len(attempts) == 1:
                stage.focus()  # asks for another rendering
                raise ImageError(FailureCode.TIMEOUT, "Too slow.")
            return super().process(source, out, job)

    stage.upload(public=False)
    stage.reprocess()
    monkeypatch.setattr(staging, "Painter", Failing)
    stage.process()
    assert len(attempts) == 2
    assert current(stage).reprocess_error is None
    stage.check_complete()
    stage.recover()


def test_the_last_delivery_of_an_older_event_leaves_the_task_of_a_later_request(stage: Stage) -> None:
    def fail(name: str) -> None:
        if name == "open":
            stage.reprocess()
            raise Unavailable("The store is busy.")

    stage.upload(public=False)
    stage.reprocess()
    with pytest.raises(Unavailable):
        stage.process(fail, receive_count=9)
    assert Task.PROCESS in current(stage).work
    assert current(stage).reprocess_error is None
    stage.deliver()
    assert Task.PROCESS not in current(stage).work


def test_the_answer_of_a_hide_names_the_version_that_the_next_edit_expects(stage: Stage) -> None:
    stage.upload(public=True)
    for visibility in ("private", "public", "private"):
        edited = stage.edit(visibility=visibility)
        assert edited.version == current(stage).version


def test_an_edit_that_is_refused_removes_what_it_has_published(stage: Stage) -> None:
    stage.upload(public=False)
    editor, version = stage.side.editor, current(stage).version
    stepped = [False]

    def step(name: str) -> None:
        if name == "copy" and not stepped[0]:
            stepped[0] = True
            stage.title()

    _, images, queue, renderings = stage.ports(step)
    patch = staging.Patch.parse({"visibility": "public"})
    with pytest.raises(PreconditionFailed):
        type(editor)(images, queue, renderings).edit(staging.OWNER, stage.image_id, patch, version)
    stage.check_public()
    stage.recover()


def test_a_refused_removal_does_not_hide_why_an_edit_was_refused(stage: Stage) -> None:
    stage.upload(public=False)
    version = current(stage).version

    def step(name: str) -> None:
        if name == "copy" and current(stage).title is None:
            stage.title()
        if name == "delete_prefix":
            raise Unavailable("The store is busy.")

    _, images, queue, renderings = stage.ports(step)
    patch = staging.Patch.parse({"visibility": "public"})
    with pytest.raises(PreconditionFailed):
        type(stage.side.editor)(images, queue, renderings).edit(staging.OWNER, stage.image_id, patch, version)
    stage.recover()


def test_public_variants_at_the_private_place_are_moved(stage: Stage) -> None:
    """A worker of 0.1.0 stores variants at the private place, and leaves the task."""
    stage.upload(public=False)
    change(stage, visibility=Visibility.PUBLIC)
    stage.process()  # a late delivery
    assert current(stage).placed is Visibility.PUBLIC
    stage.check_complete()
    stage.recover()

    stage.upload(public=False)
    since = current(stage).uploaded_at
    change(stage, visibility=Visibility.PUBLIC, work={Task.PROCESS: Work.add(since, timedelta(minutes=15))})
    stage.reconcile()
    assert current(stage).placed is Visibility.PUBLIC
    assert Task.PROCESS not in current(stage).work
    stage.check_complete()
    stage.recover()


def test_a_current_rendering_is_not_swept(stage: Stage) -> None:
    """A worker of 0.1.0 that renders a superseded rendering again does not know its mark."""
    stage.upload(public=False)
    image, now = current(stage), utcnow()
    change(stage, superseded={image.rendering_id: now}, work={Task.SWEEP: Work.add(now)})
    stage.sweep()
    stage.check_complete()
    assert current(stage).superseded == {}
    stage.recover()


def test_a_missing_variant_is_copied_or_rendered_again(stage: Stage) -> None:
    stage.upload(public=False)
    stage.publish()
    public, private = (processed_prefix(stage.image_id, public=each) for each in (True, False))
    stage.side.store.delete_prefix(public)
    stage.reconcile()
    stage.check_complete()
    stage.recover()
    stage.side.store.delete_prefix(public)
    stage.hide()
    assert current(stage).visibility is Visibility.PRIVATE
    stage.deliver()
    stage.check_complete()
    stage.side.store.delete_prefix(private)
    stage.publish()
    assert current(stage).visibility is Visibility.PUBLIC
    stage.deliver()
    stage.check_complete()
    stage.recover()


def test_a_hidden_image_has_its_private_variants_even_if_a_sweep_removes_them_now(stage: Stage) -> None:
    stage.upload(public=False)
    stage.publish()
    stage.sweep(lambda name: stage.hide() if name == "delete_prefix" and _is_public(stage) else None)
    stage.deliver()
    stage.check_complete()
    stage.recover()


def test_a_worker_that_ends_a_sweep_and_dies_is_noticed(stage: Stage) -> None:
    """The rendering becomes current between the steps of a sweep whose process ends before it looks again."""
    stage.upload(public=False)
    first = current(stage).rendering_id
    stage.focus()
    stage.process()
    now = utcnow()
    change(stage, focal_point=None, superseded={first: now}, work={Task.SWEEP: Work.add(now)})
    calls: list[str] = []

    def step(name: str) -> None:
        calls.append(name)
        if name == "delete_prefix":
            stage.process()  # renders the first rendering again
        elif "delete_prefix" in calls:
            raise Crash

    with pytest.raises(Crash):
        stage.reconcile(step, after=timedelta(0))
    assert current(stage).rendering_id == first
    stage.reconcile()
    stage.deliver()
    stage.check_complete()
    stage.recover()


def test_an_adopted_original_is_private(stage: Stage) -> None:
    """Its record was lost: nobody knows that it was public."""
    stage.upload(public=True)
    stage.side.images.remove(stage.image_id, current(stage).version)
    orphans, report = Orphans(stage.side.store, stage.side.images, stage.side.queue), Report()
    found = next(each for each in orphans.find(report, grace=timedelta(0)) if each.can_be_adopted)
    assert orphans.adopt(found, staging.OWNER, report)
    assert current(stage).visibility is Visibility.PRIVATE
    stage.reconcile(after=timedelta(0))
    stage.check_public()
    stage.deliver()
    stage.recover()


def test_times_of_a_clock_that_was_set_back(stage: Stage) -> None:
    stage.upload(public=True)
    stage.hide()
    ahead = utcnow() + timedelta(days=400)
    change(stage, work={Task.HIDE: Work.add(ahead)})
    stage.reconcile(after=timedelta(0))
    assert current(stage).work[Task.HIDE].due < utcnow() + timedelta(hours=1)
    stage.recover()
    stage.delete()
    stage.side.images.update_tombstone(stage.image_id, {Task.PURGE: Work.add(ahead)})
    stage.reconcile(after=timedelta(0))
    stage.recover()


def test_a_record_without_tasks_is_rendered_again(stage: Stage) -> None:
    """As 0.1.0 wrote it, `ready`."""
    stage.upload(public=False)
    stage.reprocess()
    assert Task.PROCESS in current(stage).work
    stage.deliver()
    assert Task.PROCESS not in current(stage).work
    assert current(stage).status is Status.READY
    stage.recover()


def _is_public(stage: Stage) -> bool:
    return current(stage).visibility is Visibility.PUBLIC
