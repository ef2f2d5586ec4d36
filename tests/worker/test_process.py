"""Worker on real adapters: the record and the store after every course of events."""

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pytest
from PIL import Image as Pillow

from app.domain.errors import Conflict, HashTaken, Missing, Unavailable
from app.domain.ids import new_id
from app.domain.images.failing import EXHAUSTED
from app.domain.images.service import Images
from app.domain.keys import original_key, variant_key
from app.domain.limits import Limits
from app.domain.models import Failure, FailureCode, FocalPoint, Format, Status, Tombstone, Visibility, utcnow
from app.domain.recipe import DEFAULT_RECIPE, VariantSpec, build_rendering_id
from app.domain.uploads.requests import TicketRequest, new_record
from app.domain.uploads.service import Accepted
from app.domain.uploads.tickets import RECORD_LIFE, Tickets
from app.worker.jobs import Job, Processed
from app.worker.process import Outcome
from app.worker.sandbox.parent import Sandbox
from tests.contract.records import an_image
from tests.domain.uploads.test_tickets import Granting
from tests.samples import encoded, image_file, photograph
from tests.sides import Interposed, once
from tests.worker import stubs
from tests.worker.conftest import SMALL, Bench, recipe_of

TRUNCATED = encoded("JPEG", 300, 200)[:2000]


def check_ready(bench: Bench, image_id: str) -> None:
    """Check that the record is ready and that exactly its variants are stored."""
    image = bench.image(image_id)
    assert image.status is Status.READY
    assert image.rendering_id
    assert image.error is None
    keys = {variant_key(image_id, image.rendering_id, variant.file) for variant in image.variants}
    assert {key for key in bench.variants(image_id) if f"/{image.rendering_id}/" in key} == keys
    for variant in image.variants:
        with bench.side.store.open(variant_key(image_id, image.rendering_id, variant.file)) as body:
            raw = body.read()
        assert len(raw) == variant.bytes
        with Pillow.open(io.BytesIO(raw)) as picture:
            assert picture.size == (variant.width, variant.height)
    with bench.side.store.open(original_key(image_id)) as body:
        assert hashlib.sha256(body.read()).hexdigest() == image.sha256


def test_an_image_becomes_ready(bench: Bench) -> None:
    image_id = bench.upload(encoded("JPEG", 600, 400))
    assert bench.worker(recipe=DEFAULT_RECIPE).handle(image_id) is Outcome.READY
    check_ready(bench, image_id)
    image = bench.image(image_id)
    assert (image.width, image.height, image.frames, image.has_alpha) == (600, 400, 1, False)
    assert image.content_type == "image/jpeg"
    assert image.processed_at
    assert image.thumbhash
    assert image.dominant_color
    assert image.phash
    assert image.privacy_report
    assert image.rendering_id == build_rendering_id(DEFAULT_RECIPE, None)
    assert [variant.name for variant in image.variants] == ["thumb", "w320", "w640", "w1280", "w1280", "w1920"]
    assert not list(bench.scratch.iterdir())


def test_a_descriptor_that_outlives_processing_cannot_change_what_is_stored(bench: Bench) -> None:
    """Files of the child are copied into the store. A link would leave them open to a hijacked decoder."""

    class Keeping(Sandbox):
        kept: ClassVar[list[BinaryIO]] = []

        def process(self, source: Path, out: Path, job: Job) -> Processed:
            made = super().process(source, out, job)
            self.kept += [path.open("r+b") for path in out.iterdir()]
            return made

    image_id = bench.upload(encoded("JPEG", 600, 400))
    assert bench.worker(sandbox=Keeping(60, 1024)).handle(image_id) is Outcome.READY
    assert len(Keeping.kept) == len(bench.variants(image_id)) > 0
    for file in Keeping.kept:
        with file:
            file.write(b"overwritten")
    check_ready(bench, image_id)


def test_metadata_goes_into_the_record(bench: Bench) -> None:
    image_id = bench.upload(image_file("libavif-tests__paris_exif_xmp_icc.jpg").read_bytes())
    bench.worker().handle(image_id)
    image = bench.image(image_id)
    assert image.camera == "Google Pixel 4a"
    assert image.taken_at
    assert image.taken_at.utcoffset() == timedelta(hours=2)
    assert image.privacy_report
    assert image.privacy_report.gps
    assert image.exif["iso"]


def test_a_variant_that_stands_for_two_formats_is_listed_once(bench: Bench) -> None:
    drawing = io.BytesIO()
    Pillow.new("RGB", (60, 40), "blue").save(drawing, "PNG")
    recipe = recipe_of(VariantSpec(name="w32", width=32, formats=(Format.JXL, Format.WEBP, Format.JPEG)))
    image_id = bench.upload(drawing.getvalue())
    assert bench.worker(recipe=recipe).handle(image_id) is Outcome.READY
    found = [(variant.format, variant.file) for variant in bench.image(image_id).variants]
    assert found == [(Format.WEBP, "w32.webp"), (Format.JPEG, "w32.jpg")]


def test_a_duplicate_changes_nothing(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    worker = bench.worker()
    worker.handle(image_id)
    before = bench.image(image_id)
    assert [worker.handle(image_id) for _ in range(3)] == [Outcome.DUPLICATE] * 3
    assert bench.image(image_id) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (TRUNCATED, "corrupt_image"),
        (image_file("fuzzdb__lottapixel.jpg").read_bytes(), "too_many_pixels"),
        (b"<svg/>", "not_an_image"),
        (b"", "not_an_image"),
    ],
)
def test_a_fault_of_the_image_ends_as_failed(bench: Bench, body: bytes, code: str) -> None:
    image_id = bench.upload(body)
    worker = bench.worker()
    assert worker.handle(image_id) is Outcome.FAILED
    image = bench.image(image_id)
    assert (image.status, image.error and image.error.code) == (Status.FAILED, code)
    assert image.error
    assert image.error.detail.endswith(".")
    assert not bench.variants(image_id)
    assert not list(bench.scratch.iterdir())
    assert worker.handle(image_id) is Outcome.DUPLICATE


def test_a_type_that_is_not_accepted(bench: Bench) -> None:
    image_id = bench.upload(encoded("BMP"))
    bench.worker(limits=Limits(accepted_types=("image/jpeg",))).handle(image_id)
    error = bench.image(image_id).error
    assert error
    assert error.code == "unsupported_image"


def test_a_file_over_the_limit_fails(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    bench.worker(limits=Limits(max_upload_bytes=100, max_direct_bytes=200)).handle(image_id)
    error = bench.image(image_id).error
    assert error
    assert (error.code, "200" in error.detail) == ("too_large", True)


def test_stored_bytes_that_differ_from_those_sent(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    bench.side.images.update(image_id, bench.image(image_id).version, {"sha256": "0" * 64})
    bench.worker().handle(image_id)
    error = bench.image(image_id).error
    assert error
    assert error.code == "corrupt_image"


@pytest.mark.parametrize(
    ("work", "seconds", "code"),
    [(stubs.leave, 60, "crashed"), (stubs.sleep, 0.6, "timeout"), (stubs.eat, 60, "memory")],
)
def test_a_retryable_failure_can_still_become_ready(bench: Bench, work: Any, seconds: float, code: str) -> None:
    image_id = bench.upload(encoded())
    assert bench.worker(sandbox=Sandbox(seconds, 256, work=work)).handle(image_id) is Outcome.FAILED
    error = bench.image(image_id).error
    assert error
    assert error.code == code
    other = bench.upload(encoded(seed=1))
    bench.worker().handle(other)
    check_ready(bench, other)
    assert bench.worker().handle(image_id) is Outcome.READY
    check_ready(bench, image_id)
    assert not bench.image(image_id).superseded


def test_a_deleted_image_stays_deleted(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    image = bench.image(image_id)
    now = utcnow()
    tombstone = Tombstone(id=image_id, owner="ann", deleted_at=now, expires_at=now + timedelta(days=1))
    bench.side.images.delete(image_id, image.version, tombstone)
    assert bench.worker().handle(image_id) is Outcome.DELETED
    assert not bench.side.objects()
    bench.side.reconciler.run(now=now + timedelta(hours=1))
    assert not bench.side.unfinished()


@pytest.mark.parametrize("moment", ["open", "put"])
def test_a_delete_during_processing_wins(bench: Bench, moment: str) -> None:
    image_id = bench.upload(encoded())
    delete = once(lambda: bench.side.deletion.delete("ann", image_id))
    worker = bench.worker(store=Interposed(bench.side.store, after={moment: delete}))
    assert worker.handle(image_id) is Outcome.DELETED
    assert not bench.side.objects()
    assert isinstance(bench.side.images.get(image_id), Tombstone)


def test_a_changed_version_does_not_render_again(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    left = [1, 2, 3]

    def retitle(*_: Any, **__: Any) -> None:
        if left:
            version = bench.side.images.get(image_id).version
            bench.side.images.update(image_id, version, {"title": f"title {left.pop()}"})

    opened: list[str] = []
    worker = bench.worker(
        store=Interposed(bench.side.store, before={"open": opened.append}),
        images=Interposed(bench.side.images, before={"update": retitle}),
    )
    assert worker.handle(image_id) is Outcome.READY
    check_ready(bench, image_id)
    assert bench.image(image_id).title == "title 1"
    assert opened == [original_key(image_id)]


def test_a_moved_focal_point_renders_again(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    focus = FocalPoint(x=0.1, y=0.2)
    move = once(lambda: bench.side.images.update(image_id, bench.image(image_id).version, {"focal_point": focus}))
    worker = bench.worker(store=Interposed(bench.side.store, after={"put": move}))
    assert worker.handle(image_id) is Outcome.READY
    check_ready(bench, image_id)
    assert bench.image(image_id).rendering_id == build_rendering_id(SMALL, focus)


def test_two_workers_on_one_image(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    quicker = once(lambda: bench.worker().handle(image_id))
    worker = bench.worker(store=Interposed(bench.side.store, after={"put": quicker}))
    assert worker.handle(image_id) is Outcome.DUPLICATE
    check_ready(bench, image_id)
    assert bench.image(image_id).version == 2


def test_another_recipe_renders_again_and_keeps_the_old_variants_until_then(bench: Bench) -> None:
    image_id = bench.upload(encoded("JPEG", 200, 100))
    bench.worker().handle(image_id)
    old = bench.image(image_id)
    seen: list[Status] = []
    look = lambda *_, **__: seen.append(bench.image(image_id).status)  # noqa: E731 - a hook
    recipe = recipe_of(VariantSpec(name="tiny", width=8, formats=(Format.JPEG,)))
    worker = bench.worker(recipe=recipe, store=Interposed(bench.side.store, after={"put": look}))
    assert worker.handle(image_id) is Outcome.READY
    check_ready(bench, image_id)
    image = bench.image(image_id)
    assert seen == [Status.READY]
    assert [variant.file for variant in image.variants] == ["tiny.jpg"]
    assert list(image.superseded) == [old.rendering_id]
    assert len(bench.variants(image_id)) == len({variant.file for variant in old.variants}) + 1
    assert bench.worker().handle(image_id) is Outcome.READY
    assert list(bench.image(image_id).superseded) == [image.rendering_id]


def test_a_ready_image_that_cannot_be_rendered_again_stays_ready(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    bench.worker().handle(image_id)
    before = bench.image(image_id)
    other = recipe_of(VariantSpec(name="tiny", width=8))
    worker = bench.worker(recipe=other, sandbox=Sandbox(60, 1024, work=stubs.leave))
    assert worker.handle(image_id) is Outcome.FAILED
    assert bench.image(image_id) == before


def test_an_internal_error_is_raised_and_leaves_the_record_pending(bench: Bench) -> None:
    image_id = bench.upload(encoded())

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("no")

    hooks: list[tuple[str, str]] = [("store", "open"), ("store", "put"), ("images", "update"), ("images", "get")]
    for port, method in hooks:
        broken = {port: Interposed(getattr(bench.side, port), before={method: refuse})}
        with pytest.raises(Unavailable):
            bench.worker(**broken).handle(image_id)
        assert bench.image(image_id).status is Status.PENDING
        assert not list(bench.scratch.iterdir())
    bench.worker().handle(image_id)
    check_ready(bench, image_id)


def test_a_pending_record_without_its_original(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    bench.side.store.delete(original_key(image_id))
    with pytest.raises(Unavailable):
        bench.worker().handle(image_id)
    assert bench.image(image_id).status is Status.PENDING


def test_an_upload_that_is_withdrawn_during_processing(bench: Bench) -> None:
    image_id = bench.upload(encoded())

    def withdraw(*_: Any) -> None:
        bench.side.images.remove(image_id, 1)
        bench.side.store.delete(original_key(image_id))

    worker = bench.worker(store=Interposed(bench.side.store, before={"open": withdraw}))
    assert worker.handle(image_id) is Outcome.DELETED
    assert not bench.side.objects()


def test_an_object_without_a_record_is_adopted_or_counted(bench: Bench) -> None:
    body = encoded("PNG", seed=7)
    image_id = bench.place(body)
    stranger = bench.worker()
    assert stranger.handle(image_id) is Outcome.UNKNOWN
    assert stranger.counts[Outcome.UNKNOWN] == 1
    assert bench.side.images.get(image_id) is None
    assert bench.worker(adopt=True).handle(image_id) is Outcome.READY
    check_ready(bench, image_id)
    image = bench.image(image_id)
    assert (image.owner, image.content_type, image.bytes) == ("anonymous", "image/png", len(body))
    assert bench.side.images.find_hash("anonymous", image.sha256 or "") == image_id
    twin = bench.place(body)
    assert bench.worker(adopt=True).handle(twin) is Outcome.READY
    check_ready(bench, twin)


def test_an_object_that_may_not_be_read_yet_is_adopted_by_a_later_delivery(bench: Bench) -> None:
    image_id = bench.place(encoded())

    def deny(*_: Any) -> None:
        raise Missing("access denied")

    with pytest.raises(Unavailable):
        bench.worker(store=Interposed(bench.side.store, before={"open": deny}), adopt=True).handle(image_id)
    assert bench.worker(adopt=True).handle(image_id) is Outcome.READY


def test_an_object_removed_during_its_adoption_leaves_no_record(bench: Bench) -> None:
    image_id = bench.place(encoded())
    gone = once(lambda: bench.side.store.delete(original_key(image_id)))
    worker = bench.worker(store=Interposed(bench.side.store, before={"open": gone}), adopt=True)
    assert worker.handle(image_id) is Outcome.UNKNOWN
    assert bench.side.images.get(image_id) is None


def test_an_object_removed_right_after_its_adoption_leaves_no_record(bench: Bench) -> None:
    """Its upload was refused, because its ticket had ended."""
    image_id = bench.place(encoded())
    gone = once(lambda: bench.side.store.delete(original_key(image_id)))
    worker = bench.worker(images=Interposed(bench.side.images, before={"create": gone}), adopt=True)
    assert worker.handle(image_id) is Outcome.UNKNOWN
    assert bench.side.images.get(image_id) is None


def test_adopted_junk_fails(bench: Bench) -> None:
    image_id = bench.place(b"hello")
    assert bench.worker(adopt=True).handle(image_id) is Outcome.FAILED
    error = bench.image(image_id).error
    assert error
    assert error.code == "not_an_image"


def by_ticket(bench: Bench, body: bytes, sha256: str | None = None) -> str:
    """Create a record whose bytes came with a ticket for a PNG and are not checked yet."""
    image_id = bench.upload(body)
    changes = {"content_type": "image/png", "sha256": sha256, "upload_expires_at": utcnow() + timedelta(days=1)}
    bench.side.images.update(image_id, 1, changes)
    return image_id


@pytest.mark.parametrize("what", ["never looked at", "too large", "other bytes than were sent"])
def test_bytes_of_an_unknown_type_are_never_served(bench: Bench, what: str) -> None:
    image_id = by_ticket(bench, b"<script>" * 20, "0" * 64 if what.startswith("other") else None)
    limits = Limits(max_upload_bytes=100, max_direct_bytes=100) if what == "too large" else None
    if what == "never looked at":

        def refuse(*_: Any, **__: Any) -> None:
            raise Unavailable("no")

        with pytest.raises(Unavailable):
            bench.worker(store=Interposed(bench.side.store, before={"open": refuse})).handle(image_id, receive_count=3)
    else:
        assert bench.worker(limits=limits).handle(image_id) is Outcome.FAILED
    assert bench.image(image_id).content_type == "application/octet-stream"
    with pytest.raises(Conflict, match="not served"):
        Images(bench.side.images).original(None, image_id)


def test_a_failed_image_is_served_once_its_type_is_known(bench: Bench) -> None:
    image_id = by_ticket(bench, TRUNCATED)
    assert bench.worker().handle(image_id) is Outcome.FAILED
    assert bench.image(image_id).content_type == "image/jpeg"
    assert Images(bench.side.images).original(None, image_id).id == image_id


def test_an_unknown_id_is_ignored(bench: Bench) -> None:
    assert bench.worker(adopt=True).handle(new_id()) is Outcome.UNKNOWN


def test_bytes_without_a_hash_are_hashed_and_claimed(bench: Bench) -> None:
    body = encoded(seed=9)
    image_id = bench.upload(body)
    bench.side.images.update(image_id, 1, {"sha256": None, "bytes": 0})
    fresh = bench.image(image_id)
    bench.side.images.remove(image_id, fresh.version)
    bench.side.images.create(fresh.model_copy(update={"version": 1}), claim=False)
    bench.worker().handle(image_id)
    check_ready(bench, image_id)
    digest = hashlib.sha256(body).hexdigest()
    assert bench.image(image_id).bytes == len(body)
    assert bench.side.images.find_hash("ann", digest) == image_id
    with pytest.raises(HashTaken):
        bench.side.images.create(fresh.model_copy(update={"id": new_id(), "sha256": digest}), claim=True)


def test_a_claim_that_failed_is_made_by_the_next_delivery(bench: Bench) -> None:
    body = encoded(seed=9)
    digest = hashlib.sha256(body).hexdigest()
    image_id = bench.place(body)
    ticket = an_image(
        id=image_id, owner="ann", sha256=None, bytes=len(body), upload_expires_at=utcnow() + timedelta(days=1)
    )
    bench.side.images.create(ticket, claim=False)
    left = [Unavailable("no"), Unavailable("no")]

    def fail(*_: Any) -> None:
        if left:
            raise left.pop()

    worker = bench.worker(images=Interposed(bench.side.images, before={"claim": fail}))
    for _ in range(2):
        with pytest.raises(Unavailable):
            worker.handle(image_id)
        assert bench.image(image_id).status is Status.READY
        assert bench.side.images.find_hash("ann", digest) is None
    assert worker.handle(image_id) is Outcome.DUPLICATE
    assert bench.side.images.find_hash("ann", digest) == image_id


@pytest.mark.parametrize("method", ["claim", "update"])
def test_a_ticket_that_is_asked_for_again_finds_its_image_at_any_time(bench: Bench, method: str) -> None:
    """At no step of the worker is there neither a ticket nor a ready image: the bytes would be stored twice."""
    body = encoded(seed=9)
    image_id = bench.place(body)
    request = TicketRequest(len(body), "image/jpeg", sha256=hashlib.sha256(body).hexdigest())
    declared = request._replace(declared_content_type="image/jpeg")
    ticket = new_record("ann", declared, Visibility.PRIVATE, image_id=image_id, life=RECORD_LIFE)
    bench.side.images.create(ticket, claim=True)
    found: list[str] = []

    def ask(*_: Any) -> None:
        issued = Tickets(bench.side.images, Granting(), Limits(), bench.side.store).issue("ann", request)
        found.append(issued.image.id if isinstance(issued, Accepted) else issued.id)

    hooks = {method: ask}
    worker = bench.worker(images=Interposed(bench.side.images, before=hooks, after=hooks))
    assert worker.handle(image_id) is Outcome.READY
    assert len(found) >= 2
    assert set(found) == {image_id}


def test_a_duplicate_does_not_touch_the_claim_of_another_image(bench: Bench) -> None:
    body = encoded(seed=9)
    holder = bench.upload(body)
    copy = bench.place(body)
    digest = hashlib.sha256(body).hexdigest()
    bench.side.images.create(an_image(id=copy, owner="ann", sha256=digest, bytes=len(body)), claim=False)
    worker = bench.worker()
    assert [worker.handle(copy) for _ in range(2)] == [Outcome.READY, Outcome.DUPLICATE]
    assert bench.side.images.find_hash("ann", digest) == holder


def test_giving_up(bench: Bench) -> None:
    pending, done = bench.upload(encoded()), bench.upload(encoded(seed=1))
    worker = bench.worker()
    worker.handle(done)

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("no")

    broken = bench.worker(
        store=Interposed(bench.side.store, before={"open": refuse}), recipe=recipe_of(SMALL.variants[0])
    )
    for image_id in (pending, done):
        with pytest.raises(Unavailable):
            broken.handle(image_id, receive_count=3)
    image = bench.image(pending)
    assert image.error == Failure(code=FailureCode.ATTEMPTS_EXHAUSTED, detail=EXHAUSTED)
    check_ready(bench, done)
    assert worker.handle(pending) is Outcome.READY


def test_a_delete_removes_what_failed_attempts_stored(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    failing: list[str] = []

    def refuse_the_second(key: str, *_: Any, **__: Any) -> None:
        failing.append(key)
        if len(failing) > 1:
            raise Unavailable("no")

    with pytest.raises(Unavailable):
        bench.worker(store=Interposed(bench.side.store, before={"put": refuse_the_second})).handle(
            image_id, receive_count=3
        )
    assert bench.image(image_id).status is Status.FAILED
    assert bench.variants(image_id)
    bench.side.deletion.delete("ann", image_id)
    bench.side.reconciler.run(now=utcnow() + timedelta(hours=1))
    assert bench.side.objects() == set()
    assert bench.side.unfinished() == []


def test_only_an_interrupted_last_delivery_fails_the_image(bench: Bench) -> None:
    class Killed(BaseException):
        """The end of the whole worker, not only of the image's process."""

    class Deadly(Sandbox):
        def process(self, *_: Any) -> Any:
            raise Killed

    image_id = bench.upload(encoded())
    reconciler = bench.side.reconciler
    later = utcnow() + timedelta(hours=2)
    for receives in (1, 2):
        with pytest.raises(Killed):
            bench.worker(sandbox=Deadly(20, 256)).handle(image_id, receive_count=receives)
        assert bench.image(image_id).version == receives, "an earlier delivery costs no write"
        assert reconciler.run(now=later).given_up == 0
    with pytest.raises(Killed):
        bench.worker(sandbox=Deadly(20, 256)).handle(image_id, receive_count=3)
    assert bench.image(image_id).status is Status.PENDING
    assert reconciler.run(now=later + timedelta(hours=2)).given_up == 1
    error = bench.image(image_id).error
    assert error
    assert error.code == "attempts_exhausted"
    assert bench.worker().handle(image_id, receive_count=1) is Outcome.READY


def test_a_record_that_changes_before_its_last_delivery_is_read_again(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    change = once(lambda: bench.side.images.update(image_id, 1, {"title": "New"}))
    worker = bench.worker(store=Interposed(bench.side.store, after={"open": change}))
    assert worker.handle(image_id, receive_count=3) is Outcome.READY
    check_ready(bench, image_id)
    assert bench.image(image_id).title == "New"


def test_the_next_delivery_repairs_a_crash_at_any_point(bench: Bench) -> None:
    class Crash(BaseException):
        """The end of the process: no `except Exception` stops it."""

    def after(calls: int) -> Callable[..., None]:
        left = [calls]

        def hook(*_: Any, **__: Any) -> None:
            left[0] -= 1
            if not left[0]:
                raise Crash

        return hook

    points: list[tuple[str, str, str, int]] = [
        ("store", "after", "open", 1),
        ("store", "before", "put", 1),
        ("store", "after", "put", 1),
        ("store", "after", "put", 2),
        ("images", "before", "update", 1),
        ("images", "after", "update", 1),
    ]
    for seed, (port, when, method, calls) in enumerate(points):
        image_id = bench.upload(encoded(seed=seed))
        dying = {port: Interposed(getattr(bench.side, port), **{when: {method: after(calls)}})}
        with pytest.raises(Crash):
            bench.worker(**dying).handle(image_id)
        status = bench.image(image_id).status
        assert status is (Status.READY if (when, method) == ("after", "update") else Status.PENDING)
        bench.worker().handle(image_id)
        check_ready(bench, image_id)


@pytest.mark.slow
def test_a_large_real_photo(bench: Bench) -> None:
    image_id = bench.upload(photograph("photo-12mp.jpg"))
    assert bench.worker(recipe=DEFAULT_RECIPE).handle(image_id) is Outcome.READY
    check_ready(bench, image_id)
    assert max(variant.width for variant in bench.image(image_id).variants) == 1920
