"""Images that are rendered again: old variants stay until the new ones are stored, and every course ends."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import Conflict, ImageError, Missing, NotFound, Unavailable
from app.domain.images.failing import EXHAUSTED
from app.domain.images.service import Images
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.models import Changes, FailureCode, FocalPoint, Image, Status, Tombstone, utcnow
from app.domain.recipe import VariantSpec, build_rendering_id
from app.domain.work import LONGEST_ATTEMPT, Task
from app.worker.jobs import Job, Processed
from app.worker.process import Outcome, Worker
from app.worker.queue_loop import run
from app.worker.sandbox.parent import Sandbox
from tests.contract.records import an_image
from tests.samples import encoded
from tests.sides import Interposed, once
from tests.worker import stubs
from tests.worker.conftest import SMALL, Bench, recipe_of

OTHER = recipe_of(VariantSpec(name="w32", width=32), VariantSpec(name="w8", width=8))
CROPPED = recipe_of(VariantSpec(name="thumb", width=16, height=16, fit="cover"))


class Focus:
    """Patch that moves the focal point."""

    def __init__(self, x: float) -> None:
        self._point = FocalPoint(x=x, y=0.5)

    def apply(self, image: Image) -> Changes:
        return {} if image.focal_point == self._point else {"focal_point": self._point}


class Failing:
    """A sandbox in which every image fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def process(self, source: Path, out: Path, job: Job) -> Processed:
        raise self._error


def ready(bench: Bench, **options: Any) -> Image:
    image_id = bench.upload(encoded())
    work(bench, bench.worker(**options))
    image = bench.image(image_id)
    assert image.status is Status.READY
    return image


def work(bench: Bench, worker: Worker) -> None:
    """Handle every event in the queue."""
    run(bench.side.queue, worker, lambda: not bench.side.queue.waiting())


def check_shown(bench: Bench, image: Image) -> None:
    """Check that every variant of the record is stored."""
    assert image.variants
    prefix = f"processed/{image.id}/{image.rendering_id}/"
    assert {variant.file for variant in image.variants} <= {
        key.removeprefix(prefix) for key in bench.variants(image.id)
    }


def reprocess(bench: Bench, image: Image) -> Image:
    return bench.side.editor.reprocess("ann", image.id)


def test_an_image_stays_ready_until_its_new_variants_are_stored(bench: Bench) -> None:
    before = ready(bench)
    queued = reprocess(bench, before)
    assert (queued.status, queued.variants, queued.rendering_id) == (Status.READY, before.variants, before.rendering_id)
    assert set(queued.work) == {Task.PROCESS}
    work(bench, bench.worker(recipe=OTHER))
    after = bench.image(before.id)
    assert after.rendering_id == build_rendering_id(OTHER, None)
    assert {variant.name for variant in after.variants} == {"w32", "w8"}
    assert set(after.work) == {Task.SWEEP}
    assert after.superseded.keys() == {before.rendering_id}
    check_shown(bench, before)  # pages still show these
    check_shown(bench, after)
    assert bench.side.reconciler.run(now=utcnow() + timedelta(hours=25)).renderings_swept == 1
    assert {key.split("/")[2] for key in bench.variants(before.id)} == {after.rendering_id}


def test_a_moved_focal_point_renders_again(bench: Bench) -> None:
    before = ready(bench, recipe=CROPPED)
    moved = bench.side.editor.edit("ann", before.id, Focus(0.1))
    assert (moved.status, moved.rendering_id) == (Status.READY, before.rendering_id)
    work(bench, bench.worker(recipe=CROPPED))
    after = bench.image(before.id)
    assert after.rendering_id == build_rendering_id(CROPPED, FocalPoint(x=0.1, y=0.5))
    assert Task.PROCESS not in after.work
    check_shown(bench, after)


def test_the_focal_point_that_is_moved_during_a_rendering_counts(bench: Bench) -> None:
    image = ready(bench, recipe=CROPPED)
    bench.side.editor.edit("ann", image.id, Focus(0.1))
    edit = once(lambda: bench.side.editor.edit("ann", image.id, Focus(0.9)))
    store = Interposed(bench.side.store, before={"put": lambda *_, **__: edit()})
    work(bench, bench.worker(recipe=CROPPED, store=store))
    after = bench.image(image.id)
    assert after.rendering_id == build_rendering_id(CROPPED, FocalPoint(x=0.9, y=0.5))
    assert Task.PROCESS not in after.work
    check_shown(bench, after)


FAULTS: dict[str, tuple[FailureCode, Callable[[Bench], dict[str, Any]]]] = {
    "over the limit": (FailureCode.TOO_LARGE, lambda _: {"limits": Limits(max_upload_bytes=9, max_direct_bytes=9)}),
    "no longer accepted": (FailureCode.UNSUPPORTED_IMAGE, lambda _: {"limits": Limits(accepted_types=("image/png",))}),
    "corrupt": (
        FailureCode.CORRUPT_IMAGE,
        lambda _: {"sandbox": Failing(ImageError(FailureCode.CORRUPT_IMAGE, "Rows are missing."))},
    ),
    "crash": (FailureCode.CRASHED, lambda _: {"sandbox": Sandbox(60, 1024, work=stubs.crash)}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_image_that_fails_again_keeps_its_variants(bench: Bench, fault: str) -> None:
    code, options = FAULTS[fault]
    before = ready(bench)
    reprocess(bench, before)
    worker = bench.worker(recipe=OTHER, **options(bench))
    work(bench, worker)
    after = bench.image(before.id)
    assert (after.status, after.error, after.variants) == (Status.READY, None, before.variants)
    assert after.reprocess_error
    assert after.reprocess_error.code == code
    assert Task.PROCESS not in after.work
    check_shown(bench, after)
    assert worker.counts == {Outcome.FAILED: 1}
    reprocess(bench, after)
    assert bench.image(before.id).reprocess_error is None
    work(bench, bench.worker(recipe=OTHER))
    mended = bench.image(before.id)
    assert (mended.rendering_id, mended.reprocess_error) == (build_rendering_id(OTHER, None), None)


def test_a_failed_image_becomes_pending_and_then_ready(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    work(bench, bench.worker(sandbox=Failing(ImageError(FailureCode.TIMEOUT, "It took too long."))))
    failed = bench.image(image_id)
    assert failed.status is Status.FAILED
    queued = reprocess(bench, failed)
    assert (queued.status, queued.error) == (Status.PENDING, None)
    work(bench, bench.worker())
    assert (bench.image(image_id).status, bench.image(image_id).error) == (Status.READY, None)


@pytest.mark.parametrize("kind", ["upload", "ticket", "replaced"])
def test_an_image_that_had_failed_is_found_by_its_bytes(bench: Bench, kind: str) -> None:
    """Also if the bytes were uploaded again meanwhile, and that image is deleted."""
    body = encoded()
    digest = hashlib.sha256(body).hexdigest()
    if kind == "ticket":
        image_id = bench.place(body)
        ends = utcnow() + timedelta(days=1)
        record = an_image(id=image_id, owner="ann", sha256=digest, bytes=len(body), upload_expires_at=ends)
        bench.side.images.create(record, claim=True)
    else:
        image_id = bench.upload(body)
    bench.worker(sandbox=Failing(ImageError(FailureCode.TIMEOUT, "It took too long."))).handle(image_id)
    other = bench.upload(body) if kind == "replaced" else None
    reprocess(bench, bench.image(image_id))
    assert bench.worker().handle(image_id) is Outcome.READY
    if other:
        assert other != image_id
        bench.side.deletion.delete("ann", other)
    assert Images(bench.side.images).look_up("ann", [digest]) == {digest: image_id}


def test_bytes_that_differ_from_those_sent_never_become_ready(bench: Bench) -> None:
    """A look-up of the hash that was sent would lead to them."""
    sent, image_id = hashlib.sha256(encoded(seed=1)).hexdigest(), bench.place(encoded(seed=2))
    bench.side.images.create(an_image(id=image_id, owner="ann", sha256=sent), claim=True)
    for _ in range(2):
        assert bench.worker().handle(image_id) is Outcome.FAILED
        reprocess(bench, bench.image(image_id))
    assert bench.image(image_id).sha256 == sent
    assert Images(bench.side.images).look_up("ann", [sent]) == {}


def test_attempts_that_all_fail_end_the_reprocess(bench: Bench) -> None:
    before = ready(bench)
    reprocess(bench, before)
    worker = bench.worker(recipe=OTHER, sandbox=Failing(RuntimeError("a fault of the service")))
    for count in (1, 2, 3):
        with pytest.raises(RuntimeError):
            worker.handle(before.id, receive_count=count)
    after = bench.image(before.id)
    assert (after.status, after.variants) == (Status.READY, before.variants)
    assert after.reprocess_error
    assert (after.reprocess_error.code, after.reprocess_error.detail) == (FailureCode.ATTEMPTS_EXHAUSTED, EXHAUSTED)
    assert after.work.keys() <= {Task.SWEEP}
    drain(bench)
    report = bench.side.reconciler.run(now=utcnow() + timedelta(days=3))
    assert (report.queued_again, bench.side.queue.waiting()) == (0, 0)


def test_a_reprocess_that_kills_every_worker_ends(bench: Bench) -> None:
    """The last delivery marks the record before it starts. The worker dies, so reconcile closes the record."""
    before = ready(bench)
    reprocess(bench, before)
    drain(bench)

    class Killed(BaseException):
        pass

    with pytest.raises(Killed):
        bench.worker(recipe=OTHER, sandbox=Failing(Killed())).handle(before.id, receive_count=3)  # type: ignore[arg-type]
    for hours in (2, 4, 30):
        bench.side.reconciler.run(now=utcnow() + timedelta(hours=hours))
    after = bench.image(before.id)
    assert (after.status, after.variants, bench.side.unfinished()) == (Status.READY, before.variants, [])
    assert after.reprocess_error
    assert after.reprocess_error.code is FailureCode.ATTEMPTS_EXHAUSTED
    assert bench.side.queue.waiting() == 0


def test_a_lost_event_of_a_reprocess_is_sent_again(bench: Bench) -> None:
    image = ready(bench)
    reprocess(bench, image)
    drain(bench)
    assert bench.side.reconciler.run(now=utcnow() + timedelta(minutes=20)).queued_again == 1
    work(bench, bench.worker(recipe=OTHER))
    assert bench.image(image.id).rendering_id == build_rendering_id(OTHER, None)


def test_a_queue_that_refuses_delays_the_reprocess_only(bench: Bench) -> None:
    image = ready(bench)

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("The queue cannot be reached.")

    side = bench.side.having(queue=Interposed(bench.side.queue, before={"send": refuse}))
    assert Task.PROCESS in side.editor.reprocess("ann", image.id).work
    assert bench.side.queue.waiting() == 0
    assert bench.side.reconciler.run(now=utcnow() + timedelta(minutes=20)).queued_again == 1


def test_an_original_that_is_missing_is_reported(bench: Bench) -> None:
    before = ready(bench)
    bench.side.store.delete(original_key(before.id))
    reprocess(bench, before)
    worker = bench.worker(recipe=OTHER)
    work(bench, worker)  # no attempt is repeated
    assert worker.counts == {Outcome.FAILED: 1}
    report = bench.side.reconciler.run(now=utcnow() + timedelta(minutes=20))
    assert (report.original_missing, report.queued_again, report.never_came, report.errors) == (1, 0, 0, 0)
    after = bench.image(before.id)
    assert (after.status, after.variants) == (Status.READY, before.variants)
    assert after.reprocess_error
    assert after.reprocess_error.code is FailureCode.ORIGINAL_MISSING
    assert Task.PROCESS not in after.work
    check_shown(bench, after)


def test_an_original_that_the_worker_may_not_read_ends_the_reprocess(bench: Bench) -> None:
    """It looks missing to the worker, and reconcile finds it."""
    before = ready(bench)
    reprocess(bench, before)

    def refuse(key: str) -> None:
        raise Missing(key)

    work(bench, bench.worker(recipe=OTHER, store=Interposed(bench.side.store, before={"open": refuse})))
    assert Task.PROCESS in bench.image(before.id).work
    report = bench.side.reconciler.run(now=utcnow() + timedelta(hours=2))
    assert (report.given_up, report.original_missing, bench.side.queue.waiting()) == (1, 0, 0)
    after = bench.image(before.id)
    assert (after.status, after.variants) == (Status.READY, before.variants)
    assert after.reprocess_error
    assert after.reprocess_error.code is FailureCode.ATTEMPTS_EXHAUSTED


def test_a_failed_image_without_its_original_fails_again(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    work(bench, bench.worker(sandbox=Failing(ImageError(FailureCode.TIMEOUT, "It took too long."))))
    bench.side.store.delete(original_key(image_id))
    reprocess(bench, bench.image(image_id))
    work(bench, bench.worker())
    assert bench.side.reconciler.run(now=utcnow() + timedelta(minutes=20)).original_missing == 1
    after = bench.image(image_id)
    assert after.error
    assert (after.status, after.error.code) == (Status.FAILED, FailureCode.ORIGINAL_MISSING)


def test_a_pending_image_is_rendered_once(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    queued = reprocess(bench, bench.image(image_id))
    assert queued.status is Status.PENDING
    worker = bench.worker()
    work(bench, worker)
    assert worker.counts == {Outcome.READY: 1, Outcome.DUPLICATE: 1}
    assert bench.image(image_id).status is Status.READY


def test_two_requests_render_once(bench: Bench) -> None:
    image = ready(bench)
    reprocess(bench, image)
    reprocess(bench, image)
    worker = bench.worker(recipe=OTHER)
    work(bench, worker)
    assert worker.counts == {Outcome.READY: 1, Outcome.DUPLICATE: 1}


def test_two_workers_at_once_leave_the_variants_of_the_record(bench: Bench) -> None:
    image = ready(bench)
    reprocess(bench, image)
    other = bench.worker(recipe=OTHER)
    images = Interposed(bench.side.images, before={"update": once(lambda: other.handle(image.id))})
    bench.worker(recipe=OTHER, images=images).handle(image.id)
    after = bench.image(image.id)
    assert after.rendering_id == build_rendering_id(OTHER, None)
    assert Task.PROCESS not in after.work
    check_shown(bench, after)


def test_a_request_during_a_rendering_is_not_lost(bench: Bench) -> None:
    """The worker that runs has an older recipe, as during a deployment."""
    image = ready(bench)
    reprocess(bench, image)
    again = once(lambda: reprocess(bench, image))
    old = bench.worker(recipe=SMALL, store=Interposed(bench.side.store, before={"put": lambda *_, **__: again()}))
    old.handle(image.id)
    work(bench, bench.worker(recipe=OTHER))
    after = bench.image(image.id)
    assert (after.rendering_id, Task.PROCESS in after.work) == (build_rendering_id(OTHER, None), False)
    check_shown(bench, after)


def test_a_delete_wins_over_a_reprocess(bench: Bench) -> None:
    image = ready(bench)
    delete = once(lambda: bench.side.deletion.delete("ann", image.id))
    side = bench.side.having(images=Interposed(bench.side.images, before={"update": delete}))
    with pytest.raises(NotFound):
        side.editor.reprocess("ann", image.id)
    assert isinstance(bench.side.images.get(image.id), Tombstone)


def test_a_delete_during_a_rendering_leaves_nothing(bench: Bench) -> None:
    image = ready(bench)
    reprocess(bench, image)
    delete = once(lambda: bench.side.deletion.delete("ann", image.id))
    store = Interposed(bench.side.store, after={"put": lambda *_, **__: delete()})
    work(bench, bench.worker(recipe=OTHER, store=store))
    bench.side.reconciler.run(now=utcnow() + 2 * LONGEST_ATTEMPT)
    assert bench.side.objects() == set()
    assert bench.side.unfinished() == []


def test_an_open_ticket_cannot_be_rendered(bench: Bench) -> None:
    image = ready(bench)
    ticket = image.model_copy(update={"id": f"{image.id[:-4]}0000", "status": Status.PENDING, "variants": []})
    bench.side.images.create(
        ticket.model_copy(update={"upload_expires_at": utcnow() + timedelta(hours=1)}), claim=False
    )
    with pytest.raises(Conflict) as refused:
        bench.side.editor.reprocess("ann", ticket.id)
    assert refused.value.code == "not_ready"
    with pytest.raises(NotFound):
        bench.side.editor.reprocess("bob", image.id)


def drain(bench: Bench) -> None:
    """Lose the events."""
    while messages := bench.side.queue.receive(10):
        for message in messages:
            bench.side.queue.delete(message.receipt)
