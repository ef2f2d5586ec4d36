"""Have many images rendered again, such as after a change of the recipe."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import Conflict, NotFound
from app.domain.images.editing import Editor
from app.domain.maintenance.pace import Pace, Pause
from app.domain.models import RETRYABLE, Failure, Image, Status, is_open_ticket
from app.domain.ports import ImageRepository
from app.domain.recipe import Recipe, build_rendering_id
from app.domain.work import Task


class Selection(StrEnum):
    """Images to render again.

    `stale`: ready, with variants of another recipe, focal point or renderer. `failed`: failed, or ready with an error
    of the last attempt to render them again. `all`: every image that was processed. Trashed images are never chosen.
    """

    STALE = "stale"
    FAILED = "failed"
    ALL = "all"


@dataclass(kw_only=True)
class ReprocessReport:
    """Counts of one run.

    `queued`: images whose event was sent; in a dry run, those whose event would be sent. `in_progress`: chosen images
    that waited to be rendered already. `skipped`: chosen images that were deleted or changed meanwhile. `last_id` is
    the position to continue after, and `complete` is True at the end of the table.
    """

    looked_at: int = 0
    queued: int = 0
    in_progress: int = 0
    skipped: int = 0
    last_id: str | None = None
    complete: bool = False


class Reprocessing:
    """One run over all images. It holds no more than a few ids, and can be stopped and continued at any image.

    Safe while the service runs: a ready image keeps its variants until the new ones are stored.
    """

    def __init__(
        self,
        images: ImageRepository,
        editor: Editor,
        pace: Pace,
        recipe: Recipe,
        selection: Selection,
        *,
        all_codes: bool = False,
        owner: str | None = None,
    ) -> None:
        self.report = ReprocessReport()
        self._images = images
        self._editor = editor
        self._pace = pace
        self._recipe = recipe
        self._uncropped = build_rendering_id(recipe, None)
        self._selection = selection
        self._all_codes = all_codes
        self._owner = owner

    def run(self, *, after: str | None = None, dry_run: bool = False, pause: Pause) -> ReprocessReport:
        """Visit the images after the one with the id `after`. With `dry_run`, only count.

        `pause` is called between images. Raises `PortError` if a backend fails: the report has the position.
        """
        report = self.report
        report.last_id = after
        for image in self._images.scan(after):
            if pause(0):
                return report
            report.looked_at += 1
            if self._is_chosen(image):
                if Task.PROCESS in image.work:
                    report.in_progress += 1
                elif dry_run:
                    report.queued += 1
                elif not self._pace.wait(pause):
                    return report
                else:
                    self._send(image.id)
            report.last_id = image.id
        report.complete = True
        return report

    def _send(self, image_id: str) -> None:
        found = self._images.get(image_id)  # the scan may have read it long ago
        if not isinstance(found, Image) or Task.PROCESS in found.work or not self._is_chosen(found):
            self.report.skipped += 1
            return
        try:
            self._editor.reprocess(None, image_id, bulk=True)
        except (NotFound, Conflict):
            self.report.skipped += 1
        else:
            self._pace.note(image_id)
            self.report.queued += 1

    def _is_chosen(self, image: Image) -> bool:
        if self._owner not in {None, image.owner} or image.trashed_at is not None:
            return False
        if image.status is Status.PENDING or is_open_ticket(image):
            return False
        if self._selection is Selection.STALE:
            return image.status is Status.READY and image.rendering_id != self._rendering_id(image)
        if self._selection is Selection.FAILED:
            failure = _last_failure(image)
            return failure is not None and (self._all_codes or failure.code in RETRYABLE)
        return True

    def _rendering_id(self, image: Image) -> str:
        return build_rendering_id(self._recipe, image.focal_point) if image.focal_point else self._uncropped


def _last_failure(image: Image) -> Failure | None:
    return image.error if image.status is Status.FAILED else image.reprocess_error
