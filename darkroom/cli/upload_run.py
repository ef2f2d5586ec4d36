"""One run of `darkroom upload`: hash files in batches, look their hashes up, send the unknown ones, wait."""

import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Semaphore
from typing import Any

from darkroom.base import MAX_HASHES
from darkroom.cli.direct import SENT, FileClient
from darkroom.cli.found_files import FoundFile, folder_tags
from darkroom.cli.image_file import FileChanged, ImageFile, NotAnImage, UploadError, to_text
from darkroom.cli.patience import Patience, Stopped
from darkroom.cli.senders import Senders, finished
from darkroom.cli.upload_report import FAILED, KNOWN, NEW, PENDING, REFUSED, TO_SEND, UploadReport
from darkroom.errors import ClientClosed, Unreachable

#: Codes of refusals that apply to all images.
_PERMANENT = {"key_missing", "key_unknown", "scope_missing", "storage_full"}
#: Images are sent ahead of the one that is waited for: at most this many, for at most this time.
_AHEAD, _AHEAD_SECONDS = 64, 2.0
#: A batch is looked up after this many bytes, so that sending begins before a folder of large files is read.
_BATCH_BYTES = 256 * 1024 * 1024
#: A larger file takes long to hash, so the limit of the service is asked for first.
_LARGE_BYTES = 128 * 1024 * 1024
#: Urls that a service fetches at the same time for one owner.
_FETCHES = 4
#: Images sent by this run that are remembered, because a lookup finds an image only once it is ready.
_REMEMBERED = 10_000


@dataclass(frozen=True)
class UploadOptions:
    """Options of a run. With `complete`, the records of known images are read too, in order to print them."""

    wait: float = 0
    fields: dict[str, Any] = field(default_factory=dict)
    complete: bool = False
    jobs: int = 1
    dry_run: bool = False
    stop_on_error: bool = False
    tags_from_folders: bool = False


@dataclass(frozen=True)
class _File:
    """A file, and the image in it or the reason why it is none. A url has neither."""

    found: FoundFile
    image: ImageFile | None = None
    error: UploadError | None = None


@dataclass
class _Job:
    """A file to report, and the record that comes of it. `copy_of` is the job that sends the same bytes."""

    file: _File
    outcome: Future[dict[str, Any]]
    copy_of: "_Job | None" = None
    #: Time when the image was first seen as sent.
    since: float | None = None

    def is_recent(self) -> bool:
        """Return True if the image was sent a moment ago."""
        self.since = self.since or time.monotonic()
        return time.monotonic() - self.since < _AHEAD_SECONDS


class UploadRun:
    """Sends files, several at once. Results are reported in the order of the files.

    Memory does not grow with the number of files: one batch of hashes is held at a time.
    """

    def __init__(self, client: FileClient, report: UploadReport, options: UploadOptions, patience: Patience) -> None:
        #: True if every image is ready, or sent where that is enough.
        self.good = True
        #: The reason why no further file was sent.
        self.failure: UploadError | None = None
        self._client, self._report, self._options, self._patience = client, report, options, patience
        self._wait, self._waits = options.wait, bool(options.wait)
        self._complete = options.complete and not options.dry_run
        self._ended = False
        self._senders = Senders(options.jobs)
        self._fetches = Semaphore(_FETCHES)
        #: Images to report, in the order of the files.
        self._jobs: deque[_Job] = deque()
        self._recent: OrderedDict[bytes, _Job] = OrderedDict()

    def send_all(self, files: Iterable[FoundFile]) -> None:
        """Send files and wait until they are processed."""
        for batch in self._batches(files):
            known = self._look_up(batch)
            for file in batch:
                if self._ended:
                    break
                self._begin(file, known)
                self._report_finished(ahead=_AHEAD)
            if self._ended:
                break
        self._report_finished(ahead=0)
        self.good = self.good and self.failure is None

    def interrupt(self) -> None:
        """Report the images that were sent, without waiting for others."""
        self._ended = True
        self._patience.stop()
        self._wait, self._waits, self._complete = 0, False, False
        self._report_finished(ahead=0)

    def _batches(self, files: Iterable[FoundFile]) -> Iterator[list[_File]]:
        batch: list[_File] = []
        size = 0
        for found in files:
            with self._report.bar("checking", found.source):
                batch.append(self._read(found))
            image = batch[-1].image
            size += image.bytes if image else 0
            if len(batch) == MAX_HASHES or size > _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _read(self, found: FoundFile) -> _File:
        if found.url:
            return _File(found)
        if found.error:
            return _File(found, error=UploadError(found.error))
        limit = None
        with suppress(OSError, UploadError):  # what is wrong is found out again
            if found.path.stat().st_size > _LARGE_BYTES:
                limit = self._patience.keep(self._client.max_bytes)
        try:
            return _File(found, image=ImageFile.read(found.path, limit))
        except UploadError as error:
            return _File(found, error=error)

    def _look_up(self, batch: list[_File]) -> dict[str, str]:
        hashes = list({file.image.sha256 for file in batch if file.image})
        try:
            return self._patience.keep(lambda: self._client.lookup(hashes, self._options.fields.get("owner")))
        except UploadError as error:
            self._fail(error)
            return {}

    def _begin(self, file: _File, known: dict[str, str]) -> None:
        self._report.begin()
        image = file.image
        if file.found.url:
            self._jobs.append(_Job(file, self._senders.add(lambda: self._fetch(file.found.url))))
            return
        if image is None:
            if isinstance(file.error, NotAnImage) and not file.found.is_given:
                self._report.skip(file.found.path, str(file.error))
            elif file.error is not None:
                self._ended = self._options.stop_on_error
                self._jobs.append(_Job(file, finished(_refused(file.found, file.error))))
            return
        sha256 = bytes.fromhex(image.sha256)
        original = self._recent.get(sha256)
        if image.sha256 in known:
            job = _Job(file, finished({"id": known[image.sha256], "status": "ready", "duplicate": True}))
        elif original is not None:
            job = _Job(file, original.outcome, copy_of=original)
        elif self._options.dry_run:
            job = _Job(file, finished({"status": TO_SEND}))
        else:
            job = _Job(file, self._senders.add(lambda: self._upload(file.found, image)))
        if image.sha256 not in known and original is None:
            self._recent[sha256] = job
            if len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        self._jobs.append(job)

    def _upload(self, found: FoundFile, image: ImageFile) -> dict[str, Any]:
        """Send an image, in one of the threads."""
        if self._ended:
            raise Stopped
        fields = self._options.fields
        if self._options.tags_from_folders:
            fields = fields | {"tags": folder_tags(found, fields.get("tags", ()))}
        with self._report.bar("sending", image.path, image.bytes) as bar:

            def progress(sent: int) -> None:
                if self._patience.stopped:
                    raise Stopped
                bar.update(sent)

            try:
                return self._patience.keep(lambda: self._client.send(image, progress, **fields))
            except UploadError as error:
                self._ended = self._ended or self._options.stop_on_error
                if not isinstance(error, Unreachable) and _changed(image):
                    raise FileChanged from error
                raise

    def _fetch(self, url: str) -> dict[str, Any]:
        """Have the service fetch an image, in one of the threads."""
        with self._fetches:
            if self._ended:
                raise Stopped
            try:
                if self._options.dry_run:
                    self._patience.keep(self._client.check_url_uploads)
                    return {"status": TO_SEND}
                with self._report.bar("fetching", url):
                    return self._patience.keep(lambda: self._client.send_url(url, **self._options.fields))
            except UploadError:
                self._ended = self._ended or self._options.stop_on_error
                raise

    def _fail(self, error: UploadError) -> None:
        """End the run, because of an error that concerns all images."""
        self._ended = True
        self.failure = self.failure or error
        self._patience.stop()
        self._wait, self._complete = 0, False

    def _report_finished(self, ahead: int) -> None:
        """Report images until at most `ahead` are left that are being sent or were sent recently."""
        while self._jobs:
            job = self._jobs[0]
            may_wait = len(self._jobs) <= ahead
            if not job.outcome.done() and may_wait:
                return
            record = self._result(job)
            if may_wait and record and record["status"] == "pending" and self._waits and job.is_recent():
                return
            record = record and self._finish(job.file.found, record)
            self._jobs.popleft()
            if record:
                self._report_one(job.file.found, record)

    def _result(self, job: _Job) -> dict[str, Any] | None:
        """Return the record of an image that was sent, or of a refusal; None if it was not sent."""
        if self._patience.stopped and not job.outcome.done():
            return None  # its thread ends with the process
        try:
            record = job.outcome.result()
        except (Stopped, ClientClosed):
            return None
        except UploadError as error:
            if isinstance(error, Unreachable) or error.problem.get("code") in _PERMANENT:
                self._fail(error)
                return None
            return _refused(job.file.found, error)
        return record if job.copy_of is None or record["status"] == TO_SEND else record | {"duplicate": True}

    def _finish(self, found: FoundFile, record: dict[str, Any]) -> dict[str, Any]:
        """Wait until the image is processed, and complete a record that is to be printed."""
        try:
            if record["status"] == "pending" and self._wait:
                with self._report.bar("processing", found.source):
                    record = self._patience.keep(lambda: self._client.wait_until_processed(record, self._wait))
            if self._complete and record["status"] in {"ready", "pending"} and "filename" not in record:
                record = self._patience.keep(lambda: self._client.read(record["id"])) | {"duplicate": True}
        except UploadError as error:
            if isinstance(error, Unreachable):
                self._fail(error)  # also for the others
            elif error.problem.get("code") != "scope_missing":
                return _refused(found, error)
            elif record["status"] == "pending":
                return record | {"status": SENT}
        except Stopped:  # by the failure of another image
            return record
        return record

    def _report_one(self, found: FoundFile, record: dict[str, Any]) -> None:
        status = record["status"]
        if status == "ready" or (status == "pending" and not self._waits and record.get("duplicate")):
            state = KNOWN if record.get("duplicate") else NEW
        elif status == SENT or (status == "pending" and not self._waits):
            state = SENT
        else:
            state = {"pending": PENDING, "failed": FAILED, TO_SEND: TO_SEND}.get(status, REFUSED)
        if state not in {NEW, KNOWN, SENT, TO_SEND}:
            self.good = False
            self._ended = self._ended or (self._options.stop_on_error and state != PENDING)
        error = record.get("error") or {}
        self._report.result(state, found.source, record, record.get("detail") or error.get("detail") or "")


def _changed(image: ImageFile) -> bool:
    """Return True if the file no longer has the bytes that were hashed."""
    with suppress(UploadError):
        return ImageFile.read(image.path).sha256 != image.sha256
    return True


def _refused(found: FoundFile, error: UploadError) -> dict[str, Any]:
    return {"status": "refused", "file": to_text(found.source), "detail": str(error), "problem": error.problem}
