"""Import of an export: records with their ids, bytes and index entries."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from pydantic import ValidationError

from app.domain.errors import AlreadyExists, Full, HashTaken, KeepsChanging, PortError, Unavailable
from app.domain.images.notifications import object_created
from app.domain.images.placement import placement, shown_rendering
from app.domain.images.renderings import Renderings
from app.domain.keys import original_key, rendering_prefix
from app.domain.maintenance.parallel import in_parallel
from app.domain.maintenance.transfer.folder import Folder, FolderError, read_pieces
from app.domain.maintenance.transfer.manifest import (
    MAX_LINE,
    ExportedImage,
    FilePath,
    ObjectFile,
    Pointer,
    VariantFile,
    original_path,
    variant_path,
)
from app.domain.maintenance.transfer.report import RestoreReport
from app.domain.models import Format, Image, Status, Tombstone
from app.domain.ports import EventQueue, ImageRepository, ObjectInfo, ObjectStore
from app.domain.work import Task

_ATTEMPTS = 8
_MOST_FAILURES = 20
_TYPES = {format_.extension: format_.media_type for format_ in Format}


@dataclass
class _Restored:
    """Outcome of one image."""

    image_id: str
    is_new: bool = False
    stored: int = 0
    stored_bytes: int = 0
    damaged: list[FilePath] = field(default_factory=list)
    refusal: str | None = None
    failed: PortError | None = None


class _Refused(Exception):
    """The image cannot be imported. The message says why."""


class Restore:
    """One run over an export. Safe while the service runs, and repeatable.

    Variants are stored first, then the record, then the original: a record never names variants that are missing, and
    the event of an original finds its record. Nothing is stored before size and hash of its file were checked.
    """

    def __init__(
        self, store: ObjectStore, images: ImageRepository, queue: EventQueue, renderings: Renderings, folder: Folder
    ) -> None:
        self.report = RestoreReport()
        self._store = store
        self._images = images
        self._queue = queue
        self._renderings = renderings
        self._folder = folder

    def run(
        self,
        *,
        is_stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int, str], None] = lambda *_: None,
        on_refused: Callable[[str, str], None] = lambda *_: None,
    ) -> RestoreReport:
        """Import every image. `on_refused` gets the id or the line of each that cannot be, and the reason.

        Raises `FolderError` for an export that is incomplete or broken, before anything is written, and `PortError` if
        a backend fails.
        """
        report, failures = self.report, 0
        with self._open_records() as file:

            def lines() -> Iterator[tuple[int, bytes]]:
                number = 0
                while not is_stopped() and (line := file.readline(MAX_LINE)):
                    number += 1
                    yield number, line

            for _, done in in_parallel(lines(), lambda numbered: self._visit(*numbered)):
                failures = failures + 1 if done.failed else 0
                if failures == _MOST_FAILURES:
                    raise Unavailable(f"{failures} images in a row could not be stored.") from done.failed
                self._count(done, on_refused)
                progress(report.images, done.image_id)
        report.complete = not is_stopped()
        return report

    def _count(self, done: _Restored, on_refused: Callable[[str, str], None]) -> None:
        report = self.report
        report.images += 1
        report.restored += done.is_new
        report.completed += bool(done.stored) and not done.is_new and done.refusal is None
        report.unchanged += not (done.stored or done.is_new) and done.refusal is None
        report.stored_bytes += done.stored_bytes
        report.damaged_variants += len(done.damaged)
        for path in done.damaged:
            on_refused(done.image_id, f"{'/'.join(path)} is missing or damaged; it is rendered again")
        if done.refusal is not None:
            report.refused += 1
            report.first_refusal = report.first_refusal or f"{done.image_id}: {done.refusal}"
            on_refused(done.image_id, done.refusal)

    @contextmanager
    def _open_records(self) -> Iterator[BinaryIO]:
        """Open the file of records after a check of its size and hash."""
        manifest = self._folder.read_manifest()
        if manifest is None or manifest.records is None:
            remedy = "run `darkroom export` on it until it has finished"
            raise FolderError(f"{self._folder.root} is incomplete", "its export has not finished", remedy)
        expected = manifest.records
        remedy = "copy the export again, or run `darkroom export` on it again"
        try:
            found = self._folder.hash((expected.name,))
            if (found.bytes, found.sha256) != (expected.bytes, expected.sha256):
                cause = f"{expected.name} differs from the manifest: {found.bytes:,} of {expected.bytes:,} bytes"
                raise FolderError(f"{self._folder.root} is damaged", cause, remedy)
            with self._folder.open((expected.name,)) as file:
                yield file
        except OSError as error:
            cause = f"{expected.name}: {(error.strerror or str(error)).lower()}"
            raise FolderError(f"{self._folder.root} is damaged", cause, remedy) from error

    def _visit(self, number: int, line: bytes) -> _Restored:
        done = _Restored(f"line {number}")
        try:
            exported = ExportedImage.model_validate_json(line)
            done.image_id = exported.image.id
            self._restore(exported, done)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            done.refusal = f"not a record of an export ({where}: {first['msg']})"
        except _Refused as refused:
            done.refusal = str(refused)
        except Full:
            raise
        except PortError as error:
            done.refusal, done.failed = f"the store failed: {error}", error
        return done

    def _restore(self, exported: ExportedImage, done: _Restored) -> None:
        image = Image.model_validate(exported.image.model_dump(exclude_unset=True))
        for _ in range(_ATTEMPTS):
            done.damaged.clear()
            found = self._images.get(image.id)
            if isinstance(found, Tombstone):
                raise _Refused("it was deleted in this installation; an import does not bring it back")
            if found is not None:
                _check_same(found, image)
            with self._original(image.id, exported.original, is_known=found is not None) as original:
                self._put_variants(found or image, exported.variants, done)
                if found is None and not self._create(image, exported.pointer):
                    continue  # another run was first
                done.is_new |= found is None
                if exported.original is not None and original is not None:
                    self._put_original(found or image, original, exported.original, done)
            if self._confirm(found or image, done):
                return
        raise KeepsChanging(image.id)

    def _confirm(self, before: Image, done: _Restored) -> bool:
        """Make the store agree with the record if it has changed meanwhile, or lacks a variant. Return False if the
        record is gone, because its bytes came late."""
        after = self._images.get(before.id)
        if after is None:
            return False
        if done.damaged or (done.stored and placement(after) != placement(before)):
            after = self._renderings.synchronize(before.id)
        is_changed = done.is_new or done.stored or done.damaged
        if isinstance(after, Image) and Task.PROCESS in after.work and is_changed:
            original = self._store.stat(original_key(after.id))
            if original is not None:
                event = object_created(original.key, original.size, made=original.modified_at)
                self._queue.send(event, owner=after.owner, bulk=after.status is Status.READY)
        return True

    def _create(self, image: Image, pointer: Pointer) -> bool:
        """Write the record with its index entries. Return False if there is one."""
        claims = pointer is Pointer.HOLDER and image.upload_expires_at is None and image.sha256 is not None
        try:
            try:
                self._images.create(image, claim=claims)
            except HashTaken as taken:
                self._images.create(image, claim=True, replaces=taken.image_id)
                other = self._images.get(taken.image_id)
                if isinstance(other, Image) and other.trashed_at is None:
                    self._images.claim(other)  # as a further copy
        except AlreadyExists:
            return False
        if pointer is Pointer.COPY and image.sha256 is not None:
            self._images.claim(image)
        return True

    @contextmanager
    def _original(self, image_id: str, expected: ObjectFile | None, *, is_known: bool) -> Iterator[BinaryIO | None]:
        """Read and check the original, unless the store has it. Raises `_Refused`.

        The bytes of a stored original without a record are compared too.
        """
        if expected is None:
            yield None
            return
        stored = self._store.find(original_key(image_id))
        if stored is not None:
            self._check_stored(stored, expected, is_known=is_known)
            yield None
            return
        with self._store.spool() as spool:
            if not self._read(original_path(image_id), expected, spool):
                raise _Refused(f"{'/'.join(original_path(image_id))} is missing or damaged")
            yield spool

    def _check_stored(self, stored: ObjectInfo, expected: ObjectFile, *, is_known: bool) -> None:
        if stored.size == expected.bytes:
            if is_known:
                return
            digest = hashlib.sha256()
            with self._store.open(stored.key) as body:
                for piece in read_pieces(body):
                    digest.update(piece)
            if digest.hexdigest() == expected.sha256:
                return
        raise _Refused("the store has other bytes under this id")

    def _put_original(self, image: Image, body: BinaryIO, expected: ObjectFile, done: _Restored) -> None:
        # Not `create`, which would send an event: an image without the task `process` must stay as it is.
        self._store.check_space(expected.bytes)
        self._store.put(original_key(image.id), body, size=expected.bytes, content_type=image.content_type)
        done.stored += 1
        done.stored_bytes += expected.bytes

    def _put_variants(self, image: Image, variants: list[VariantFile], done: _Restored) -> None:
        """Store the variants that the record names and the store lacks."""
        named = {shown_rendering(image), *image.superseded}
        stored: dict[str, dict[str, int]] = {}
        for variant in variants:
            if variant.rendering not in named:
                continue
            prefix = rendering_prefix(image.id, variant.rendering)
            if variant.rendering not in stored:
                stored[variant.rendering] = {
                    each.key.removeprefix(prefix): each.size for each in self._store.list(prefix)
                }
            if stored[variant.rendering].get(variant.file) == variant.bytes:
                continue
            path = variant_path(image.id, variant.rendering, variant.file)
            with self._store.spool() as spool:
                if not self._read(path, variant, spool):
                    done.damaged.append(path)
                    continue
                self._store.check_space(variant.bytes)
                media_type = _TYPES.get(variant.file.rpartition(".")[2], "application/octet-stream")
                self._store.put(prefix + variant.file, spool, size=variant.bytes, content_type=media_type)
            done.stored += 1
            done.stored_bytes += variant.bytes

    def _read(self, path: FilePath, expected: ObjectFile, spool: BinaryIO) -> bool:
        """Copy a file to the spool. Return False if it is missing, or differs in size or hash."""
        digest = hashlib.sha256()
        try:
            if self._folder.size(path) != expected.bytes:
                return False
            with self._folder.open(path) as file:
                for piece in read_pieces(file):
                    digest.update(piece)
                    spool.write(piece)
        except OSError:
            return False
        spool.seek(0)
        return digest.hexdigest() == expected.sha256


def _check_same(found: Image, image: Image) -> None:
    """Raise `_Refused` if the record under the id is that of another image."""
    if found.owner != image.owner:
        raise _Refused(f"the id belongs to the owner {found.owner}")
    differs = None not in {found.sha256, image.sha256} and found.sha256 != image.sha256
    if differs or (found.sha256 is None and image.sha256 is None and found.bytes != image.bytes):
        raise _Refused("the id exists with other bytes")
