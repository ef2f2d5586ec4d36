"""Processing of one original: from its id to a record that is `ready` or `failed`."""

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from app.domain.errors import ImageError, KeepsChanging, Missing, Stale, Unavailable
from app.domain.images.renderings import Renderings
from app.domain.keys import original_key, variant_key
from app.domain.limits import Limits
from app.domain.models import RETRYABLE, FailureCode, Image, Status, Tombstone, Visibility, utcnow
from app.domain.other_formats import refused_type
from app.domain.phase_timer import PhaseTimer
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.recipe import Recipe
from app.domain.reports import ImageReport, ImageReporter, Outcome, log_report
from app.domain.work import Task
from app.worker.jobs import Job, Processed
from app.worker.machine import usable_cpus
from app.worker.memory_budget import NotStarted
from app.worker.originals import Original, adopt, fetch
from app.worker.outcomes import Outcomes, Stored
from app.worker.sandbox.parent import Sandbox
from app.worker.share import Share

_ATTEMPTS = 16
_MOST_THREADS = 4


class Worker:
    """Processes originals. `counts` has the number of deliveries by outcome.

    With `adopt`, objects without a record get one that belongs to `anonymous`. `scratch` is an existing folder that no
    other worker uses. With `share_originals`, a child may read the original itself instead of a copy. An event goes to
    the dead letters after `max_attempts` deliveries. `reporter` receives a report of each delivery; `on_ignored` is
    called for each event that is not about an original.
    """

    def __init__(  # noqa: PLR0913 - all that an entry point decides
        self,
        store: ObjectStore,
        images: ImageRepository,
        renderings: Renderings,
        sandbox: Sandbox,
        *,
        recipe: Recipe,
        limits: Limits,
        adopt: bool,
        scratch: Path,
        max_attempts: int,
        share_originals: bool = False,
        reporter: ImageReporter = log_report,
        on_ignored: Callable[[], None] = lambda: None,
    ) -> None:
        self.max_attempts = max_attempts
        self.on_ignored = on_ignored
        self.counts: Counter[Outcome] = Counter()
        self._lock = threading.Lock()
        self._store = store
        self._images = images
        self._renderings = renderings
        self._outcomes = Outcomes(store, images, renderings, recipe)
        self._sandbox = sandbox
        self._recipe = recipe
        self._limits = limits
        self._adopt = adopt
        self._share_originals = share_originals
        self._scratch = scratch
        self._reporter = reporter
        self._threads = usable_cpus()
        self._max_bytes = max(limits.max_upload_bytes, limits.max_direct_bytes)

    def handle(self, image_id: str, *, receive_count: int | None = None, share: Share | None = None) -> Outcome:
        """Process the original of this image. Safe to repeat and to run concurrently with other workers.

        Faults of the image end in its record. An exception is an internal error, and the event should be delivered
        again. `receive_count` is the number of this delivery; after the last one the task `process` ends.
        """
        report = ImageReport(image_id=image_id, receive_count=receive_count)
        started, started_at = time.perf_counter(), utcnow()
        try:
            report.outcome = self._handle(image_id, report, share or Share())
        except NotStarted:
            raise
        except Exception:
            if (receive_count or 0) >= self.max_attempts and self._outcomes.close(image_id, started_at):
                report.outcome, report.code = Outcome.FAILED, FailureCode.ATTEMPTS_EXHAUSTED
            raise
        finally:
            report.ms = round((time.perf_counter() - started) * 1000, 1)
            self._reporter(report)
        with self._lock:
            self.counts[report.outcome] += 1
        return report.outcome

    def _handle(self, image_id: str, report: ImageReport, share: Share) -> Outcome:
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id)
            if isinstance(found, Tombstone):
                self._renderings.purge(found, utcnow())
                return Outcome.DELETED
            if found is None:
                if not (self._adopt and adopt(self._store, self._images, image_id, self._max_bytes)):
                    return Outcome.UNKNOWN
                report.direct = True
                continue
            if self._is_done(found):
                self._claim(found)
                outcome: Outcome | None = Outcome.DUPLICATE
            else:
                report.direct |= found.upload_expires_at is not None
                outcome = self._process(found, report, share)
            if outcome is not None and (not self._is_doubtful(found, report) or self._outcomes.synchronize(image_id)):
                return outcome
        raise KeepsChanging(image_id)

    def _is_doubtful(self, image: Image, report: ImageReport) -> bool:
        """Return True if the store may hold what the record does not name: an earlier delivery was interrupted, or a
        worker of 0.1.0 has left the variants of a public image at the private place."""
        is_misplaced = image.status is Status.READY and image.placed is not image.effective_visibility
        return (report.receive_count or 1) > 1 or is_misplaced

    def _is_done(self, image: Image) -> bool:
        if Task.PROCESS in image.work:
            return False
        if image.status is Status.READY:
            return image.rendering_id == self._outcomes.rendering_id(image)
        return image.status is Status.FAILED and image.error is not None and image.error.code not in RETRYABLE

    def _claim(self, image: Image) -> None:
        """Claim the hash of a `ready` image if an earlier delivery ended before it could. A copy is noted as one."""
        if image.status is not Status.READY or not image.sha256:
            return
        if self._images.find_hash(image.owner, image.sha256) != image.id:
            self._images.claim(image)

    def _process(self, image: Image, report: ImageReport, share: Share) -> Outcome | None:
        """Process for the record as it was read. Returns None if the record has changed: then start again."""
        original: Original | None = None
        timer = PhaseTimer(report.phases)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="image-", ignore_cleanup_errors=True) as folder:
            source, out = Path(folder, "original"), Path(folder, "out")
            out.mkdir()
            try:
                with timer.phase("fetch"):
                    original = fetch(self._store, image.id, self._max_bytes, source, may_share=self._share_originals)
                report.format, report.bytes = original.media_type, original.bytes
                image = self._mark_last_attempt(image, report)
                with timer.phase("process"):
                    processed = share.process(self._sandbox, source, out, self._job(image, original, share))
            except Missing:
                return self._handle_missing_original(image, report)
            except Stale:
                return None
            except ImageError as error:
                report.code = error.code
                share.timed_out |= error.code == FailureCode.TIMEOUT
                with timer.phase("record"):
                    return self._outcomes.fail(image, error, original)
            _add_to_report(report, processed)
            with timer.phase("store"):
                stored = self._put(image, processed, out)
        with timer.phase("record"):
            return self._outcomes.finish(image, processed, original, stored)

    def _mark_last_attempt(self, image: Image, report: ImageReport) -> Image:
        """Note the time of the last delivery in a record with the task `process`, and return the record.

        The delivery may end this process. The note distinguishes the record from one that was never tried. Raises
        `Stale`.
        """
        if Task.PROCESS not in image.work or (report.receive_count or 0) < self.max_attempts:
            return image
        return self._images.update(image.id, image.version, {"last_tried_at": utcnow()})

    def _job(self, image: Image, original: Original, share: Share) -> Job:
        """Build the job. Raises `ImageError` if the bytes differ from those sent or are not of an accepted format."""
        if image.sha256 is not None and original.sha256 != image.sha256:
            detail = "The stored bytes differ from those that were sent. Upload the file again."
            raise ImageError(FailureCode.CORRUPT_IMAGE, detail)
        if original.media_type is None or original.media_type not in self._limits.accepted_types:
            code = FailureCode.UNSUPPORTED_IMAGE if original.media_type else FailureCode.NOT_AN_IMAGE
            found = f"found: {original.format}" if original.format else "the bytes are of no format that is known"
            raise ImageError(code, refused_type(found, None, self._limits.accepted_types).detail)
        return Job(
            recipe=self._recipe,
            focal_point=image.focal_point,
            media_type=original.media_type,
            max_pixels=self._limits.max_pixels,
            max_frames=self._limits.max_frames,
            threads=min(_MOST_THREADS, share.threads or self._threads),
            source_is_shared=original.is_shared,
        )

    def _handle_missing_original(self, image: Image, report: ImageReport) -> Outcome | None:
        """Leave an image that was processed before to `reconcile`: it has the right to list originals, and only a
        listing tells a missing object from one that may not be read. Another delivery would not help. The note of the
        attempt ends that of an original which exists, too."""
        found = self._images.get(image.id)
        if not isinstance(found, Image):
            return Outcome.DELETED
        if found.processed_at is not None and Task.PROCESS in found.work:
            try:
                self._images.update(found.id, found.version, {"last_tried_at": utcnow()})
            except Stale:
                return None
            report.code = FailureCode.ORIGINAL_MISSING
            return Outcome.FAILED
        raise Unavailable(f"The original of {image.id} is missing: {original_key(image.id)}")

    def _put(self, image: Image, processed: Processed, out: Path) -> Stored:
        rendering_id = self._outcomes.rendering_id(image)
        public = image.effective_visibility is Visibility.PUBLIC
        for variant in {variant.file: variant for variant in processed.variants}.values():
            key = variant_key(image.id, rendering_id, variant.file, public=public)
            descriptor = os.open(out / variant.file, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as body:
                self._store.put(key, body, size=variant.bytes, content_type=variant.format.media_type)
        return Stored(rendering_id, frozenset(variant.file for variant in processed.variants), public)


def _add_to_report(report: ImageReport, processed: Processed) -> None:
    report.width, report.height, report.memory_mb = processed.width, processed.height, processed.memory_mb
    files = {variant.file: variant.bytes for variant in processed.variants}
    report.variants, report.variant_bytes = len(files), sum(files.values())
    report.phases |= processed.timings
