"""Export of all images into a folder: records, originals and variants."""

import errno
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from app.domain.errors import KeepsChanging, Missing, PortError, Unavailable
from app.domain.images.placement import list_files, shown_rendering
from app.domain.keys import original_key, rendering_prefix
from app.domain.maintenance.parallel import in_parallel
from app.domain.maintenance.transfer.folder import Folder, FolderError, read_pieces
from app.domain.maintenance.transfer.manifest import (
    FORMAT_VERSION,
    MAX_LINE,
    ExportedImage,
    FilePath,
    Manifest,
    ObjectFile,
    Pointer,
    RecordsFile,
    VariantFile,
    original_path,
    variant_path,
)
from app.domain.maintenance.transfer.report import ExportReport
from app.domain.models import Image, Status, utcnow
from app.domain.ports import ImageRepository, ObjectStore

_ATTEMPTS = 8
#: Failures one after the other that end a run: then a backend has failed, not an image.
_MOST_FAILURES = 20
_LINE_START = re.compile(rb'\{"image":\{"id":"([0-9a-f-]{36})"')


@dataclass
class _Exported:
    """Outcome of one image: its line, None if it has none."""

    line: bytes | None = None
    copied: int = 0
    copied_bytes: int = 0
    unchanged: int = 0
    original_missing: bool = False
    variants_missing: bool = False
    damaged: bool = False
    failed: PortError | None = None
    deleted: bool = False
    #: Reason why the image was not exported as it was uploaded.
    problem: str | None = None


class Export:
    """One run over all images. Safe while the service runs: each record fits its files.

    Files that an earlier run has written are kept, and the earlier export stays valid until this one has finished.
    `is_stopped` ends the run between two images.
    """

    def __init__(
        self, store: ObjectStore, images: ImageRepository, folder: Folder, *, source: str, version: str
    ) -> None:
        self.report = ExportReport()
        self._store = store
        self._images = images
        self._folder = folder
        self._source = source
        self._version = version

    def run(
        self,
        *,
        is_stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int, str], None] = lambda *_: None,
        on_problem: Callable[[str, str], None] = lambda *_: None,
    ) -> ExportReport:
        """Export every image. `on_problem` gets the id of each that is not exported as it was uploaded, and the reason.

        Raises `FolderError`, or `PortError` if a backend fails; a later run continues."""
        before = self._folder.read_manifest()
        if before and before.source != self._source:
            raise FolderError(
                f"{self._folder.root} holds the export of another store",
                f"it is that of {before.source}, not of {self._source}",
                "name an empty folder",
            )
        self._folder.clear()
        if before is None:
            self._folder.write_manifest(self._manifest(None))
        earlier = before.records if before else None
        with _open_earlier(self._folder, earlier) as known:
            records = self._folder.write_records(self._lines(known, is_stopped, progress, on_problem))
        if is_stopped():
            self._folder.remove_old_records(earlier.name if earlier else "")
            return self.report
        self._folder.write_manifest(self._manifest(records))
        self._folder.remove_old_records(records.name)
        self.report.complete = True
        return self.report

    def _manifest(self, records: RecordsFile | None) -> Manifest:
        return Manifest(
            format_version=FORMAT_VERSION,
            darkroom=self._version,
            source=self._source,
            written_at=utcnow(),
            records=records,
        )

    def _lines(
        self,
        known: "_Earlier",
        is_stopped: Callable[[], bool],
        progress: Callable[[int, str], None],
        on_problem: Callable[[str, str], None],
    ) -> Iterator[bytes]:
        report, failures = self.report, 0

        def ids() -> Iterator[str]:
            for image in self._images.scan():
                if is_stopped():
                    return
                yield image.id

        for image_id, done in in_parallel(ids(), lambda image_id: self._visit(image_id, known.get(image_id))):
            failures = failures + 1 if done.failed else 0
            if failures == _MOST_FAILURES:
                raise Unavailable(f"{failures} images in a row could not be exported.") from done.failed
            report.copied += done.copied
            report.copied_bytes += done.copied_bytes
            report.unchanged += done.unchanged
            report.originals_missing += done.original_missing
            report.damaged += done.damaged
            report.variants_missing += done.variants_missing
            report.failed += done.failed is not None
            report.images += done.line is not None
            report.unfinished += done.line is None and not (done.failed or done.deleted)
            if done.problem is not None:
                on_problem(image_id, done.problem)
            progress(report.images, image_id)
            if done.line is not None:
                yield done.line

    def _visit(self, image_id: str, known: ExportedImage | None) -> _Exported:
        """Export an image. Do it again if it has changed meanwhile."""
        try:
            for _ in range(_ATTEMPTS):
                found = self._images.get(image_id)
                if not isinstance(found, Image):
                    return _Exported(deleted=True)
                done = self._copy(found, known)
                if self._images.versions([image_id]).get(image_id) == found.version:
                    return done
            raise KeepsChanging(image_id)
        except PortError as error:
            return _Exported(failed=error, problem=f"the store failed: {error}")

    def _copy(self, image: Image, known: ExportedImage | None) -> _Exported:
        done = _Exported()
        original = self._copy_original(image, known.original if known else None, done)
        if original is None:
            if image.status is Status.PENDING and image.processed_at is None:
                return done
            done.original_missing, done.problem = True, "the original is missing"
        variants = {(each.rendering, each.file): each for each in known.variants} if known else {}
        line = ExportedImage.model_construct(
            image=image,  # type: ignore[arg-type]  # its fields are checked when it is imported
            pointer=self._pointer(image),
            original=original,
            variants=[
                exported
                for rendering, file, size in self._variants(image)
                if (exported := self._copy_variant(image.id, rendering, file, size, variants, done))
            ],
        )
        exported_files = {(each.rendering, each.file) for each in line.variants}
        if any((shown_rendering(image), file) not in exported_files for file in list_files(image)):
            done.variants_missing = True
            done.problem = done.problem or "variants are missing; `darkroom reprocess` renders them again"
        done.line = _encode(image, line)
        return done

    def _pointer(self, image: Image) -> Pointer:
        if image.sha256 is None:
            return Pointer.NONE
        holder = self._images.find_hash(image.owner, image.sha256)
        if holder == image.id:
            return Pointer.HOLDER
        copies = self._images.find_copies(image.owner, [image.sha256]) if holder else {}
        return Pointer.COPY if image.id in copies.get(image.sha256, ()) else Pointer.NONE

    def _variants(self, image: Image) -> Iterator[tuple[str, str, int]]:
        """Yield rendering, file and size of the variants that the record names, and of superseded ones."""
        shown = shown_rendering(image)
        if shown is not None:
            sizes = {variant.file: variant.bytes for variant in image.variants}
            yield from ((shown, file, sizes[file]) for file in sorted(list_files(image)))
        for name in sorted(image.superseded):
            if name != shown:
                prefix = rendering_prefix(image.id, name)
                yield from ((name, info.key.removeprefix(prefix), info.size) for info in self._store.list(prefix))

    def _copy_original(self, image: Image, known: ObjectFile | None, done: _Exported) -> ObjectFile | None:
        path, key = original_path(image.id), original_key(image.id)
        if known is None and image.sha256 and self._folder.size(path) == image.bytes:
            known = self._folder.hash(path)  # of an interrupted run
            known = known if known.sha256 == image.sha256 else None
        found = self._copy_object(key, path, known, done)
        if found is not None and image.sha256 not in {None, found.sha256}:
            done.damaged, done.problem = True, "the original differs from the hash in its record"
        return found

    def _copy_variant(
        self,
        image_id: str,
        rendering: str,
        file: str,
        size: int,
        known: dict[tuple[str, str], VariantFile],
        done: _Exported,
    ) -> VariantFile | None:
        path, key = variant_path(image_id, rendering, file), rendering_prefix(image_id, rendering) + file
        earlier: ObjectFile | None = known.get((rendering, file))
        if earlier is None and self._folder.size(path) == size:
            earlier = self._folder.hash(path)
        found = self._copy_object(key, path, earlier, done)
        if found is None:
            return None
        return VariantFile.model_construct(bytes=found.bytes, sha256=found.sha256, rendering=rendering, file=file)

    def _copy_object(self, key: str, path: FilePath, known: ObjectFile | None, done: _Exported) -> ObjectFile | None:
        """Write an object unless the folder has it. Return None if the store has none. Raises `Unavailable` for one
        that may not be read, which looks missing when it is opened."""
        if known is not None and self._folder.size(path) == known.bytes:
            done.unchanged += 1
            return known
        for _ in range(2):  # it may arrive in between
            try:
                with self._store.open(key) as body:
                    written = self._folder.write(path, read_pieces(body))
            except Missing:
                if self._store.find(key) is None:
                    return None
            else:
                done.copied += 1
                done.copied_bytes += written.bytes
                return written
        raise Unavailable("An object exists and may not be read.") from PermissionError(errno.EACCES, "")


def _encode(image: Image, line: ExportedImage) -> bytes:
    """Return the line. Fields that a record of an earlier version lacks stay absent."""
    record = image.model_dump_json(exclude_unset=True)
    rest = line.model_dump_json(exclude={"image"})
    return f'{{"image":{record},{rest[1:]}\n'.encode()


class _Earlier:
    """Lines of an earlier export by id. Memory holds an entry of 24 bytes for each image, not the lines."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._entries: list[bytes] = []
        offset = 0
        for line in file or ():
            if found := _LINE_START.match(line):
                self._entries.append(UUID(found[1].decode()).bytes + offset.to_bytes(8))
            offset += len(line)
        self._entries.sort()

    def get(self, image_id: str) -> ExportedImage | None:
        """Return the line of an image, or None. Several threads may call it."""
        key = UUID(image_id).bytes
        at = bisect_left(self._entries, key)
        if self._file is None or at == len(self._entries) or self._entries[at][:16] != key:
            return None
        with self._lock:
            self._file.seek(int.from_bytes(self._entries[at][16:]))
            line = self._file.readline(MAX_LINE)
        try:
            return ExportedImage.model_validate_json(line)
        except ValueError:
            return None


@contextmanager
def _open_earlier(folder: Folder, records: RecordsFile | None) -> Iterator[_Earlier]:
    """Open the records of an earlier export, if there are any that can be read."""
    with ExitStack() as stack:
        file = None
        if records is not None:
            with suppress(OSError):
                file = stack.enter_context(folder.open((records.name,)))
        yield _Earlier(file)
