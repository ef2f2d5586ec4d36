"""Removal of hidden and deleted images from a CDN: a task that stays until the CDN has accepted it."""

from collections.abc import Collection
from datetime import timedelta

from app.domain.errors import Unavailable
from app.domain.models import Image
from app.domain.work import Task
from tests.visibility.stage import TRASH_ENDS, Stage


class FakeCdn:
    """A CDN that answers `accepted`, `too many` or `refused` in the given order, and then accepts all. `calls` has the
    ids of each call."""

    def __init__(self, *answers: str, shows_sizes: bool = False) -> None:
        self._answers = list(answers)
        self.shows_sizes = shows_sizes
        self.calls: list[set[str]] = []

    def invalidate(self, image_ids: Collection[str]) -> bool:
        """See `Cdn.invalidate`."""
        self.calls.append(set(image_ids))
        answer = self._answers.pop(0) if self._answers else "accepted"
        if answer == "refused":
            raise Unavailable(answer)
        return answer == "accepted"


def waits(stage: Stage, image_id: str) -> bool:
    """Return True if the record has the task."""
    found = stage.side.images.get(image_id)
    return found is not None and Task.INVALIDATE in found.work


def test_a_hidden_image_is_invalidated_at_once(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn()
    stage.upload(public=True)
    stage.hide()
    assert cdn.calls == [{stage.image_id}]
    assert not waits(stage, stage.image_id)
    stage.recover()
    assert cdn.calls == [{stage.image_id}]


def test_the_task_stays_until_the_cdn_accepts_it(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn("refused", "too many", "refused", "too many")
    stage.upload(public=True)
    hidden = stage.image_id
    stage.hide()
    assert waits(stage, hidden)
    stage.upload(public=True)
    deleted = stage.image_id
    stage.delete()
    assert waits(stage, deleted)
    for _ in range(2):
        stage.reconcile(after=timedelta(0))
        assert waits(stage, hidden)
        assert waits(stage, deleted)
    stage.reconcile(after=timedelta(0))
    assert not waits(stage, hidden)
    assert not waits(stage, deleted)
    assert cdn.calls == [{hidden}, {deleted}, *[{hidden, deleted}] * 3], "one call for all images of a run"
    stage.recover()


def test_a_late_invalidation_is_an_error(stage: Stage) -> None:
    stage.cdn = FakeCdn("refused", "refused", "too many")
    stage.upload(public=True)
    stage.hide()
    soon, late = (stage.report(after=timedelta(minutes=minutes)).errors for minutes in (50, 70))
    assert (soon, late) == (0, 1)
    assert waits(stage, stage.image_id)
    assert stage.report(after=timedelta(minutes=70)).errors == 0
    assert not waits(stage, stage.image_id)


def test_a_deleted_image_keeps_the_refused_invalidation_of_its_hide(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn("too many", "refused")
    stage.upload(public=True)
    stage.hide()
    stage.delete()
    assert waits(stage, stage.image_id)
    stage.reconcile(after=timedelta(0))
    assert not waits(stage, stage.image_id)
    assert len(cdn.calls) == 3


def test_a_trashed_image_is_invalidated_once(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn("refused")
    stage.upload(public=True)
    stage.trash()
    assert waits(stage, stage.image_id)
    stage.reconcile(after=timedelta(minutes=31))
    assert not waits(stage, stage.image_id)
    assert len(cdn.calls) == 2
    stage.reconcile(after=TRASH_ENDS)
    stage.recover()
    assert len(cdn.calls) == 2


def test_an_image_that_was_never_public_is_not_invalidated(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn()
    stage.upload(public=False)
    stage.delete()
    stage.upload(public=False)
    stage.trash()
    stage.restore()
    stage.upload(public=False)
    stage.publish()
    stage.recover()
    assert cdn.calls == []


def test_variants_stored_after_the_invalidation_are_invalidated_again(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn()
    stage.upload(public=True)
    stage.focus()
    hidden = []

    def step(name: str) -> None:
        if name == "put" and not hidden:
            hidden.append(stage.image_id)
            stage.hide()

    stage.process(step)
    stage.check_public()
    assert cdn.calls == [{stage.image_id}]
    stage.reconcile(after=timedelta(0))
    assert cdn.calls == [{stage.image_id}] * 2
    stage.recover()


def test_an_image_hidden_again_during_a_run_keeps_its_new_task(stage: Stage) -> None:
    class Slow(FakeCdn):
        def invalidate(self, image_ids: Collection[str]) -> bool:
            accepted = super().invalidate(image_ids)
            if len(self.calls) == 2:
                stage.publish()
                stage.hide()  # the third call: refused
            return accepted

    stage.cdn = cdn = Slow("too many", "accepted", "refused")
    stage.upload(public=True)
    stage.hide()
    stage.reconcile(after=timedelta(0))
    assert len(cdn.calls) == 3
    assert waits(stage, stage.image_id)
    found = stage.image()
    assert isinstance(found, Image)
    stage.reconcile(after=timedelta(0))
    assert not waits(stage, stage.image_id)


def test_a_moved_focal_point_invalidates_the_sizes_of_a_public_image(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn("accepted", "too many", shows_sizes=True)
    stage.upload(public=False)
    stage.process()
    stage.focus()
    assert cdn.calls == [], "nobody has cached a private image"
    stage.publish()
    stage.focus()
    assert cdn.calls == [{stage.image_id}]
    assert not waits(stage, stage.image_id)
    stage.focus()
    assert waits(stage, stage.image_id), "the CDN has refused"
    stage.reconcile(after=timedelta(0))
    assert cdn.calls == [{stage.image_id}] * 3
    assert not waits(stage, stage.image_id)


def test_a_moved_focal_point_invalidates_nothing_at_a_cdn_without_sizes(stage: Stage) -> None:
    stage.cdn = cdn = FakeCdn()
    stage.upload(public=True)
    stage.focus()
    stage.process()
    assert cdn.calls == []
    assert not waits(stage, stage.image_id)
