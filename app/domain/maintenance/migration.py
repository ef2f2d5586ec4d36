"""Give the images of 0.1.0 a visibility, move the variants of public ones, and complete the index of all images."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import KeepsChanging, NotFound, PortError, RequestError, Stale, Unavailable
from app.domain.images.editing import Editor
from app.domain.maintenance.pace import Pause
from app.domain.maintenance.parallel import in_parallel
from app.domain.models import Changes, Image, Visibility
from app.domain.ports import ImageRepository

log = logging.getLogger(__name__)

_ATTEMPTS = 16
#: Failures one after the other that end a run: then a backend has failed, not an image.
_MOST_FAILURES = 20


class _Moved(StrEnum):
    """Outcome of one image."""

    DONE = "done"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    FAILED = "failed"


@dataclass(kw_only=True)
class MigrationReport:
    """Counts of one run.

    `migrated`: images that got the visibility; in a dry run, those that would get it. `unchanged`: images that have
    one. `indexed`: images that lacked entries of the index; not known in a dry run. `failed`: images that could not be
    changed; run the command again for them. `last_id` is the position to continue after, before the first image that
    failed; `complete` is True at the end of the table.
    """

    visibility: Visibility
    looked_at: int = 0
    migrated: int = 0
    unchanged: int = 0
    indexed: int = 0
    failed: int = 0
    last_id: str | None = None
    complete: bool = False


@dataclass(frozen=True)
class _SetVisibility:
    """Patch of a record that has no visibility yet."""

    visibility: Visibility

    def apply(self, image: Image) -> Changes:
        """See `Patch.apply`."""
        return {} if has_visibility(image) else {"visibility": self.visibility}


def has_visibility(image: Image) -> bool:
    """Return True if the record names its visibility. Records that 0.1.0 wrote do not."""
    return "visibility" in image.model_fields_set


class Migration:
    """One run over all images. Idempotent, and safe while the service runs.

    Publishing is that of an edit: variants are copied, then the record is changed, and `reconcile` removes the private
    copies a day later.
    """

    def __init__(self, images: ImageRepository, editor: Editor, visibility: Visibility) -> None:
        self.report = MigrationReport(visibility=visibility)
        self._images = images
        self._editor = editor
        self._visibility = visibility
        self._dry_run = False

    def run(self, *, after: str | None = None, dry_run: bool = False, pause: Pause) -> MigrationReport:
        """Visit the images after the one with the id `after`. With `dry_run`, only count.

        `pause` is called between images. Raises `PortError` if a backend fails: the report has the position.
        """
        report = self.report
        report.last_id = after
        self._dry_run = dry_run
        failures = 0
        for image, (moved, indexed) in in_parallel(self._scan(after, pause), self._visit):
            failures = failures + 1 if moved is _Moved.FAILED else 0
            if failures == _MOST_FAILURES:
                raise Unavailable(f"{failures} images in a row could not be changed. See the log.")
            report.looked_at += 1
            report.migrated += moved is _Moved.DONE
            report.unchanged += moved is _Moved.UNCHANGED
            report.indexed += indexed
            report.failed += moved is _Moved.FAILED
            if not report.failed:
                report.last_id = image.id
        report.complete = not pause(0)
        return report

    def _scan(self, after: str | None, pause: Pause) -> Iterator[Image]:
        for image in self._images.scan(after):
            if pause(0):
                return
            yield image

    def _visit(self, image: Image) -> tuple[_Moved, bool]:
        """Return the outcome, and True if entries of the index were missing."""
        if self._dry_run:
            return _Moved.UNCHANGED if has_visibility(image) else _Moved.DONE, False
        try:
            moved = self._move(image)
            return moved, self._index(image if moved is _Moved.UNCHANGED else None, image.id)
        except NotFound:
            return _Moved.DELETED, False
        except (PortError, RequestError) as error:
            log.warning("%s was not migrated: %s", image.id, error, extra={"image_id": image.id})
            return _Moved.FAILED, False

    def _move(self, image: Image) -> _Moved:
        if has_visibility(image):
            return _Moved.UNCHANGED
        if self._visibility is Visibility.PRIVATE:
            return self._keep_private(image.id)
        # Not an edit: images in the trash get a visibility too.
        self._editor.change(None, image.id, _SetVisibility(self._visibility).apply)
        return _Moved.DONE

    def _keep_private(self, image_id: str) -> _Moved:
        """Write the visibility alone: the variants of 0.1.0 are at the private place."""
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id)
            if not isinstance(found, Image):
                return _Moved.DELETED
            if has_visibility(found):
                return _Moved.UNCHANGED
            try:
                self._images.update(image_id, found.version, {"visibility": Visibility.PRIVATE})
            except Stale:
                continue
            return _Moved.DONE
        raise KeepsChanging(image_id)

    def _index(self, image: Image | None, image_id: str) -> bool:
        """Complete the index entries of the image; without a record, read it. Return True if any were missing."""
        for _ in range(_ATTEMPTS):
            found = image or self._images.get(image_id)
            if not isinstance(found, Image):
                return False
            try:
                return self._images.reindex(found)
            except Stale:
                image = None
        raise KeepsChanging(image_id)
