"""The worker's rules: from the id of an original that has arrived to a record that is `ready` or `failed`."""

import contextlib
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from app.domain.errors import ImageError, Missing, Stale, Unavailable
from app.domain.images.service import finish_delete
from app.domain.keys import original_key, processed_prefix, variant_key
from app.domain.limits import Limits
from app.domain.media import UNKNOWN_TYPE
from app.domain.models import (
    EXHAUSTED,
    RETRYABLE,
    Changes,
    FailureCode,
    Image,
    Rights,
    Status,
    Tombstone,
    Variant,
    failed,
    utcnow,
)
from app.domain.phase_timer import PhaseTimer
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.recipe import Recipe, build_recipe_id, build_rendering_id
from app.domain.reports import ImageReport, ImageReporter, Outcome, log_report
from app.worker.jobs import Job, Processed
from app.worker.originals import Original, adopt, fetch
from app.worker.sandbox.parent import Sandbox

log = logging.getLogger(__name__)

_ATTEMPTS = 16
_MOST_THREADS = 4


class Worker:
    """Processes originals. `counts` is how often each outcome came.

    With `adopt`, objects without a record get one for `anonymous`; `scratch` is an existing folder that no other
    worker uses; an event goes to the dead letters after `max_attempts` deliveries. `reporter` takes a report of each
    delivery; `on_ignored` is called for each event that is not about an original.
    """

    def __init__(  # noqa: PLR0913 - all that a door decides
        self,
        store: ObjectStore,
        images: ImageRepository,
        sandbox: Sandbox,
        *,
        recipe: Recipe,
        limits: Limits,
        adopt: bool,
        scratch: Path,
        max_attempts: int,
        reporter: ImageReporter = log_report,
        on_ignored: Callable[[], None] = lambda: None,
    ) -> None:
        self.max_attempts = max_attempts
        self.on_ignored = on_ignored
        self.counts: Counter[Outcome] = Counter()
        self._store = store
        self._images = images
        self._sandbox = sandbox
        self._recipe = recipe
        self._limits = limits
        self._adopt = adopt
        self._scratch = scratch
        self._reporter = reporter
        self._threads = min(_MOST_THREADS, _usable_cpus())
        self._max_bytes = max(limits.max_upload_bytes, limits.max_direct_bytes)

    def handle(self, image_id: str, *, receives: int | None = None) -> Outcome:
        """Do all that the arrival of this original asks for. Safe to repeat, and beside other workers.

        The picture's own faults end in its record. What is raised is our fault, and worth another delivery. `receives`
        is which delivery of its queue this is: after the last one a record that is still `pending` is closed.
        """
        report = ImageReport(image_id=image_id, receive_count=receives)
        started = time.perf_counter()
        try:
            report.outcome = self._handle(image_id, report)
        except Exception:
            if (receives or 0) >= self.max_attempts and self._close(image_id):
                report.outcome, report.code = Outcome.FAILED, FailureCode.ATTEMPTS_EXHAUSTED
            raise
        finally:
            report.ms = round((time.perf_counter() - started) * 1000, 1)
            self._reporter(report)
        self.counts[report.outcome] += 1
        return report.outcome

    def _close(self, image_id: str) -> bool:
        """Close a record that is `pending` after its last delivery; whether it was."""
        try:
            for _ in range(_ATTEMPTS):
                found = self._images.get(image_id)
                if not isinstance(found, Image) or found.status is not Status.PENDING:
                    return False
                changes = failed(found, FailureCode.ATTEMPTS_EXHAUSTED, EXHAUSTED, utcnow())
                with contextlib.suppress(Stale):
                    self._images.update(image_id, found.version, changes)
                    return True
        except Exception:
            log.exception("could not be closed after its last delivery", extra={"image_id": image_id})
        return False

    def _handle(self, image_id: str, report: ImageReport) -> Outcome:
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id)
            if isinstance(found, Tombstone):
                finish_delete(self._store, self._images, image_id)
                return Outcome.DELETED
            if found is None:
                if not (self._adopt and adopt(self._store, self._images, image_id, self._max_bytes)):
                    return Outcome.UNKNOWN
                report.direct = True
                continue
            if self._is_done(found):
                self._claim_again(found)
                return Outcome.DUPLICATE
            report.direct |= found.upload_expires_at is not None
            outcome = self._process(found, report)
            if outcome is not None:
                return outcome
        raise Unavailable(f"The record of {image_id} keeps changing.")

    def _is_done(self, image: Image) -> bool:
        if image.status is Status.READY:
            return image.rendering_id == self._rendering(image)
        return image.status is Status.FAILED and image.error is not None and image.error.code not in RETRYABLE

    def _claim_again(self, image: Image) -> None:
        """An attempt that ended between `ready` and the claim has left the pointer free, and this is its redelivery."""
        if image.status is Status.READY and image.sha256 and not self._images.find_hash(image.owner, image.sha256):
            self._images.claim(image)

    def _rendering(self, image: Image) -> str:
        return build_rendering_id(self._recipe, image.focal_point)

    def _process(self, image: Image, report: ImageReport) -> Outcome | None:
        """Process for the record as it was read; None when it has changed so that this must begin again."""
        original: Original | None = None
        timer = PhaseTimer(report.phases)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="picture-", ignore_cleanup_errors=True) as folder:
            source, out = Path(folder, "original"), Path(folder, "out")
            out.mkdir()
            try:
                with timer.phase("fetch"):
                    original = fetch(self._store, image.id, self._max_bytes, source)
                report.format, report.bytes = original.media_type, original.bytes
                image = self._marked(image, report)
                with timer.phase("process"):
                    processed = self._sandbox.process(source, out, self._job(image, original))
            except Missing:
                return self._without_original(image)
            except Stale:
                return None
            except ImageError as error:
                report.code = error.code
                with timer.phase("record"):
                    return self._fail(image, error, original)
            _tell_made(report, processed)
            with timer.phase("store"):
                self._put(image, processed, out)
        with timer.phase("record"):
            return self._finish(image, processed, original)

    def _marked(self, image: Image, report: ImageReport) -> Image:
        """The record, in which the last delivery leaves a mark before it begins: it may be the end of us, and who
        finds the record later must know it from one that nobody has tried. Raises `Stale`."""
        if image.status is not Status.PENDING or (report.receive_count or 0) < self.max_attempts:
            return image
        return self._images.update(image.id, image.version, {"last_tried_at": utcnow()})

    def _job(self, image: Image, original: Original) -> Job:
        if image.sha256 is not None and original.sha256 != image.sha256:
            raise ImageError(FailureCode.CORRUPT_IMAGE, "The stored bytes are not those that were sent.")
        if original.media_type is None:
            found = f"found: {original.other}" if original.other else "the bytes are of no format that is known"
            raise ImageError(FailureCode.NOT_AN_IMAGE, f"Unsupported image format ({found}).")
        if original.media_type not in self._limits.accepted_types:
            raise ImageError(FailureCode.UNSUPPORTED_IMAGE, f"Pictures of type {original.media_type} are not taken.")
        return Job(
            recipe=self._recipe,
            focal_point=image.focal_point,
            media_type=original.media_type,
            max_pixels=self._limits.max_pixels,
            max_frames=self._limits.max_frames,
            threads=self._threads,
        )

    def _without_original(self, image: Image) -> Outcome:
        found = self._images.get(image.id)
        if not isinstance(found, Image):
            return Outcome.DELETED
        raise Unavailable(f"The original of {image.id} is not there: {original_key(image.id)}")

    def _put(self, image: Image, processed: Processed, out: Path) -> None:
        rendering = self._rendering(image)
        for variant in {variant.file: variant for variant in processed.variants}.values():
            key = variant_key(image.id, rendering, variant.file)
            descriptor = os.open(out / variant.file, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as body:
                self._store.put(key, body, size=variant.bytes, content_type=variant.format.media_type)

    def _finish(self, image: Image, processed: Processed, original: Original) -> Outcome | None:
        rendering = self._rendering(image)
        claim = image.sha256 is None or image.upload_expires_at is not None  # the upload of a ticket, or adopted
        current = image
        for _ in range(_ATTEMPTS):
            wanted = self._rendering(current) == rendering
            if wanted:
                changes = _changes(current, processed, original, rendering)
                changes["recipe_id"] = build_recipe_id(self._recipe)
            else:  # a focal point has moved: what was made for the old one is to be swept
                changes = {"stale_renderings": list(dict.fromkeys((*current.stale_renderings, rendering)))}
            try:
                updated = self._images.update(image.id, current.version, changes)
            except Stale:
                found = self._images.get(image.id)
                if not isinstance(found, Image):
                    self._store.delete_prefix(processed_prefix(image.id))
                    return Outcome.DELETED
                if found.status is Status.READY and found.rendering_id == rendering:
                    return Outcome.DUPLICATE
                current = found
                continue
            if not wanted:
                return None
            if claim:
                self._images.claim(updated)
            return Outcome.READY
        raise Unavailable(f"The record of {image.id} keeps changing.")

    def _fail(self, image: Image, error: ImageError, original: Original | None) -> Outcome:
        """Record the picture's fault. An image that is `ready` keeps its variants and its state."""
        changes = failed(image, FailureCode(error.code), error.detail, utcnow())
        if original is not None:
            changes |= _found_in(original)
        for _ in range(_ATTEMPTS):
            found = self._images.get(image.id)
            if not isinstance(found, Image):
                self._store.delete_prefix(processed_prefix(image.id))
                return Outcome.DELETED
            if found.status is Status.READY:
                return Outcome.FAILED
            if error.code in RETRYABLE:
                # An earlier attempt may have left variants. They are not removed here, for another worker may just
                # now be listing them in the record; they are swept as any old rendering is, unless it comes to that.
                stale = dict.fromkeys((*found.stale_renderings, self._rendering(image)))
                changes["stale_renderings"] = list(stale)
            try:
                self._images.update(image.id, found.version, changes)
            except Stale:
                continue
            return Outcome.FAILED
        raise Unavailable(f"The record of {image.id} keeps changing.")


def _tell_made(report: ImageReport, processed: Processed) -> None:
    report.width, report.height, report.memory_mb = processed.width, processed.height, processed.memory_mb
    files = {variant.file: variant.bytes for variant in processed.variants}
    report.variants, report.variant_bytes = len(files), sum(files.values())
    report.phases |= processed.timings


def _found_in(original: Original) -> Changes:
    kind = original.media_type or UNKNOWN_TYPE
    return {"bytes": original.bytes, "sha256": original.sha256, "content_type": kind}


def _changes(image: Image, processed: Processed, original: Original, rendering: str) -> Changes:
    stale = [old for old in (*image.stale_renderings, image.rendering_id) if old and old != rendering]
    variants = [Variant.model_validate(variant.model_dump()) for variant in processed.variants]
    names = set(Processed.model_fields) - {"rights", "variants", "timings", "memory_mb"}
    return {
        **{name: getattr(processed, name) for name in names},
        **_found_in(original),
        "status": Status.READY,
        "error": None,
        "upload_expires_at": None,
        "processed_at": utcnow(),
        "rendering_id": rendering,
        "rights": Rights.model_validate(processed.rights.model_dump()),
        "variants": variants,
        "stale_renderings": list(dict.fromkeys(stale)),
    }


def _usable_cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity else os.cpu_count() or 1
