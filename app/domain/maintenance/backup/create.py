"""Create a backup while the server runs: the database first, then the files that it names."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from app.domain.disk import nameless
from app.domain.errors import Full
from app.domain.maintenance.backup.copying import copy_file, hash_file, read_stat, sync_tree
from app.domain.maintenance.backup.file_copies import FileCopies
from app.domain.maintenance.backup.manifest import DATABASE, FORMAT_VERSION, SECRETS, Manifest, write_manifest
from app.domain.maintenance.backup.ports import DatabaseFiles, Layout
from app.domain.maintenance.backup.record_files import read_files
from app.domain.maintenance.backup.target import Target
from app.domain.maintenance.parallel import in_parallel

#: Rounds for images that change while they are copied. An image needs one for each change in the short time between
#: the reading of its record and the copying of its files.
_ROUNDS = 20
_THREADS = 4

IsStopped = Callable[[], bool]
Progress = Callable[[int, str], None]


class Interrupted(Exception):
    """The run was asked to stop."""


@dataclass(frozen=True)
class Installation:
    """Places of a self-hosted installation."""

    data: Path
    database: Path


@dataclass
class CreateReport:
    """Report of a run: the backup's name and contents, and where its files are from.

    `copied` files were read from the data folder, `linked` ones are those of the previous backup. `changed`: images
    that were changed or deleted while they were copied. `missing` and `damaged` are keys of files that the data folder
    lacks, or has with other bytes than the record says; those in `rescued` were copied from the previous backup.
    `links_refused` is the system's reason for not linking. `removed` are the names of old backups.
    """

    name: str = ""
    images: int = 0
    files: int = 0
    bytes: int = 0
    copied: int = 0
    copied_bytes: int = 0
    linked: int = 0
    changed: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    rescued: list[str] = field(default_factory=list)
    links_refused: str | None = None
    removed: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True if the data folder had every file as its record says."""
        return not (self.missing or self.damaged or self.rescued)


class Creation:
    """One run of `darkroom backup create`.

    The database is copied first, as it is at one moment. Then every original and variant that the copy names is
    brought into the backup. Files are written once and never changed, so a file is either as the copy names it or gone:
    its image was deleted, hidden, published or rendered again meanwhile. The live database says so. Therefore the
    record of such an image is brought to its present state in the copy, and the files that it names now are copied. A
    deleted image is deleted in the copy too. So the copy names no file that the backup lacks, except files that the
    data folder has lost: they are reported, and copied from the previous backup if it has them. Images that were
    uploaded after the copy are in the next backup. An upload in progress may be in the copy without its original: it
    is `pending`, and reconcile removes it after a restore, as after a crash.

    A database of an older version is copied as it is, because only that version can use it. Its records cannot be
    changed, so another round copies the whole database again.

    Unchanged files become hard links to the previous backup, never to the data folder: a live file may be damaged
    later. A file is unchanged if size and time of modification are those of the live one.
    """

    def __init__(self, place: Installation, target: Target, database: DatabaseFiles, layout: Layout) -> None:
        self._place = place
        self._target = target
        self._database = database
        self._layout = layout
        self._schema = 0
        self.report = CreateReport()

    def run(
        self,
        now: datetime,
        *,
        version: str,
        keep: int | None = None,
        is_stopped: IsStopped = lambda: False,
        progress: Progress = lambda *_: None,
    ) -> CreateReport:
        """Create a backup, then remove old ones. Raises `FolderError`, `PortError`, and `Interrupted` after a stop.

        An unfinished backup is removed, for any end of the run.
        """
        try:
            previous = next(reversed(self._target.complete()), None)
            unfinished = self._target.start(now)
            try:
                copies = FileCopies(self._place.data, previous, unfinished, self._layout)
                self._fill(unfinished, copies, is_stopped, progress)
                self._count(unfinished, copies)
                self._seal(unfinished, now, version)
                self.report.name = self._target.finish(unfinished).name
            except BaseException:
                with suppress(OSError):
                    shutil.rmtree(unfinished)
                raise
            if keep is not None:
                self.report.removed = self._target.keep(keep)
        except Full as error:
            raise self._target.error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
        except OSError as error:
            raise self._target.error(error) from nameless(error)
        return self.report

    def _fill(self, backup: Path, copies: FileCopies, is_stopped: IsStopped, progress: Progress) -> None:
        """Copy the database and bring all files that it names."""
        copy, report = backup / DATABASE, self.report
        self._schema = self._database.copy(self._place.database, copy)
        documents: Iterable[tuple[str, str]] = self._database.records(copy)
        gone: set[str] = set()
        for _ in range(_ROUNDS):
            before, gone = gone, set()
            records = (read_files(*each) for each in documents)
            for number, (record, brought) in enumerate(in_parallel(records, copies.bring, _THREADS), 1):
                if is_stopped():
                    raise Interrupted
                if not record.is_readable:
                    report.damaged.append(record.id)
                report.copied += len(brought.copied)
                report.copied_bytes += sum(brought.copied)
                report.linked += brought.linked
                report.damaged += brought.damaged
                report.rescued += brought.rescued
                if brought.missing:
                    gone.add(record.id)
                progress(number, record.id)
            if not gone:
                break
            changes = self._database.follow(copy, self._place.database, gone)
            if changes is None:
                if gone == before:
                    break
                copy.unlink()
                self._schema = self._database.copy(self._place.database, copy)
                documents = self._database.records(copy)
            else:
                report.changed += len(changes)
                documents = [(image_id, document) for image_id, document in changes.items() if document is not None]
        report.links_refused = copies.links_refused

    def _count(self, backup: Path, copies: FileCopies) -> None:
        """Count what the database names. Files that the data folder has lost are copied from the previous backup."""
        report = self.report
        for each in self._database.records(backup / DATABASE):
            report.images += 1
            for named in read_files(*each).files:
                path = backup / self._layout(named.key)
                if read_stat(path) is None and named.is_required:
                    (report.rescued if copies.rescue(named) else report.missing).append(named.key)
                if (found := read_stat(path)) is not None:
                    report.files += 1
                    report.bytes += found.st_size

    def _seal(self, backup: Path, now: datetime, version: str) -> None:
        """Write the manifest when everything else is durable."""
        report = self.report
        secrets = [name for name in SECRETS if copy_file(self._place.data / name, backup / name)]
        database = hash_file(backup / DATABASE)
        assert database is not None  # noqa: S101 - it was copied above
        sync_tree(backup)
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            darkroom=version,
            schema_version=self._schema,
            created_at=now,
            images=report.images,
            files=report.files,
            bytes=report.bytes,
            database_sha256=database.sha256,
            secrets=secrets,
        )
        write_manifest(backup, manifest)
        sync_tree(backup)
