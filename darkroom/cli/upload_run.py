"""One run of `darkroom upload`: hash files in batches, look their hashes up, send the unknown ones, wait."""

import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkroom.cli.attempts import Unreachable
from darkroom.cli.direct import MAX_HASHES, SENT, DarkroomClient
from darkroom.cli.image_file import ImageFile, NotAnImage, UploadError, to_text
from darkroom.cli.upload_report import FAILED, KNOWN, NEW, PENDING, REFUSED, UploadReport

#: Codes of refusals that apply to all images.
_PERMANENT = {"key_missing", "key_unknown", "scope_missing", "storage_full"}
#: Images are sent ahead of the one that is waited for: at most this many, for at most this time.
_AHEAD, _AHEAD_SECONDS = 8, 2.0
#: A batch is looked up after this many bytes, so that sending begins before a folder of large files is read.
_BATCH_BYTES = 256 * 1024 * 1024
#: Images sent by this run that are remembered, because a lookup finds an image only once it is ready.
_REMEMBERED = 10_000


@dataclass(frozen=True)
class _File:
    """A file, and the image in it or the reason why it is none. `is_given` is false for a file found in a folder."""

    path: Path
    is_given: bool
    image: ImageFile | None = None
    error: UploadError | None = None


@dataclass(frozen=True)
class _Sent:
    """An image that was sent, or that needed no sending, and the time of that."""

    path: Path
    record: dict[str, Any]
    since: float


class UploadRun:
    """Sends files. The next images are sent while one is processed. Results are reported in the order of the files.

    With `complete`, the records of known images are read too, in order to print them.

    Memory does not grow with the number of files: one batch of hashes is held at a time.
    """

    def __init__(
        self, client: DarkroomClient, report: UploadReport, *, wait: float, fields: dict[str, Any], complete: bool
    ) -> None:
        #: True if every image is ready, or sent where that is enough.
        self.good = True
        #: The reason why no further file was sent.
        self.failure: UploadError | None = None
        self._client, self._report = client, report
        self._wait, self._fields, self._complete = wait, fields, complete
        self._waits = bool(wait)
        #: Images to report, in the order of the files.
        self._sent: deque[_Sent] = deque()
        self._recent: OrderedDict[bytes, str] = OrderedDict()

    def send_all(self, files: Iterable[tuple[Path, Path]]) -> None:
        """Send files, each with the argument that named it, and wait until they are processed."""
        for batch in self._batches(files):
            try:
                known = self._client.lookup(list({file.image.sha256 for file in batch if file.image}))
            except UploadError as error:
                self._end(error)
            for file in batch:
                if self.failure is not None:
                    break
                self._send(file, known)
                self._report_finished(ahead=_AHEAD)
            if self.failure is not None:
                break
        self._report_finished(ahead=0)
        self.good = self.good and self.failure is None

    def interrupt(self) -> None:
        """Report the images that were sent, without waiting for them."""
        self._wait, self._waits, self._complete = 0, False, False
        self._report_finished(ahead=0)

    def _batches(self, files: Iterable[tuple[Path, Path]]) -> Iterator[list[_File]]:
        batch: list[_File] = []
        size = 0
        for given, path in files:
            with self._report.bar("Checking", path):
                batch.append(_read(path, is_given=path == given))
            image = batch[-1].image
            size += image.bytes if image else 0
            if len(batch) == MAX_HASHES or size > _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _send(self, file: _File, known: dict[str, str]) -> None:
        self._report.begin()
        if file.image is None:
            if isinstance(file.error, NotAnImage) and not file.is_given:
                self._report.skip()
            elif file.error is not None:
                self._sent.append(_Sent(file.path, _refused(file.path, file.error), 0))
            return
        try:
            record = self._known(file.image, known) or self._upload(file.image)
        except UploadError as error:
            if isinstance(error, Unreachable) or error.problem.get("code") in _PERMANENT:
                self._end(error)
                return
            record = _refused(file.path, error)
        self._sent.append(_Sent(file.path, record, time.monotonic()))

    def _known(self, image: ImageFile, known: dict[str, str]) -> dict[str, Any] | None:
        """Return the record of an image that is stored, or that this run has sent."""
        image_id = known.get(image.sha256)
        if image_id is not None:
            return {"id": image_id, "status": "ready", "duplicate": True}
        image_id = self._recent.get(bytes.fromhex(image.sha256))
        return None if image_id is None else {"id": image_id, "status": "pending", "duplicate": True}

    def _upload(self, image: ImageFile) -> dict[str, Any]:
        with self._report.bar("Sending", image.path, image.bytes) as bar:
            record = self._client.upload(image, bar.update, **self._fields)
        self._recent[bytes.fromhex(image.sha256)] = record["id"]
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return record

    def _end(self, error: UploadError) -> None:
        self.failure = error
        self._wait, self._complete = 0, False

    def _report_finished(self, ahead: int) -> None:
        """Report images until at most `ahead` are left that were sent recently."""
        while self._sent:
            sent = self._sent[0]
            record = sent.record
            is_recent = len(self._sent) <= ahead and time.monotonic() - sent.since < _AHEAD_SECONDS
            if record["status"] == "pending" and self._waits and is_recent:
                return
            record = self._finish(sent.path, record)
            self._sent.popleft()
            self._report_one(sent.path, record)

    def _finish(self, path: Path, record: dict[str, Any]) -> dict[str, Any]:
        """Wait until the image is processed, and complete a record that is to be printed."""
        try:
            if record["status"] == "pending" and self._wait:
                with self._report.bar("Processing", path):
                    record = self._client.wait_until_processed(record, self._wait)
            if self._complete and record["status"] in {"ready", "pending"} and "filename" not in record:
                record = self._client.read(record["id"]) | {"duplicate": True}
        except UploadError as error:
            if isinstance(error, Unreachable):
                self._end(error)  # also for the others
            elif error.problem.get("code") != "scope_missing":
                return _refused(path, error)
            elif record["status"] == "pending":
                return record | {"status": SENT}
        return record

    def _report_one(self, path: Path, record: dict[str, Any]) -> None:
        status = record["status"]
        if status == "ready" or (status == "pending" and not self._waits and record.get("duplicate")):
            state = KNOWN if record.get("duplicate") else NEW
        elif status == SENT or (status == "pending" and not self._waits):
            state = SENT
        else:
            state = {"pending": PENDING, "failed": FAILED}.get(status, REFUSED)
        self.good = self.good and state in {NEW, KNOWN, SENT}
        error = record.get("error") or {}
        self._report.result(state, path, record, record.get("detail") or error.get("detail") or "")


def _read(path: Path, *, is_given: bool) -> _File:
    try:
        return _File(path, is_given, image=ImageFile.read(path))
    except UploadError as error:
        return _File(path, is_given, error=error)


def _refused(path: Path, error: UploadError) -> dict[str, Any]:
    return {"status": "refused", "file": to_text(path), "detail": str(error), "problem": error.problem}
