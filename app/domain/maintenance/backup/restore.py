"""Restore a backup into an empty folder."""

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.disk import NO_SPACE, nameless
from app.domain.maintenance.backup.copying import copy_file, make_folders, sync_folder, sync_tree
from app.domain.maintenance.backup.create import Installation, Interrupted, IsStopped, Progress
from app.domain.maintenance.backup.manifest import DATABASE, SECRETS, reason
from app.domain.maintenance.backup.ports import DatabaseFiles, Layout
from app.domain.maintenance.backup.record_files import RecordFiles, read_files
from app.domain.maintenance.backup.verify import check_database, describe_fault, open_manifest
from app.domain.maintenance.parallel import in_parallel
from app.domain.maintenance.transfer.folder import FolderError

_THREADS = 4
#: Made by file systems in their topmost folder.
_IGNORED = frozenset({"lost+found"})


@dataclass
class RestoreReport:
    """Report of a restore. `problems` has a line for each file that the backup lacks or has damaged."""

    name: str
    images: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Copies:
    sizes: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Restoration:
    """One run of `darkroom backup restore`.

    Everything is copied, nothing linked, so that the backup stays as it is. The database comes last: a server does not
    start on a folder with originals and without a database. A backup with a damaged database is refused. Of damaged
    images as much is restored as there is, and every fault is reported.
    """

    def __init__(self, backup: Path, place: Installation, database: DatabaseFiles, layout: Layout) -> None:
        self._backup = backup
        self._place = place
        self._database = database
        self._layout = layout
        self.report = RestoreReport(backup.name)

    def run(self, is_stopped: IsStopped = lambda: False, progress: Progress = lambda *_: None) -> RestoreReport:
        """Restore the backup. Raises `FolderError`, and `Interrupted` after a stop; the folder is empty again then."""
        manifest = open_manifest(self._backup)
        if faults := check_database(self._backup, manifest, self._database):
            remedy = "restore another backup; `darkroom backup verify` checks one"
            raise FolderError(f"{self._backup} is damaged", faults[0], remedy)
        self._check_place()
        try:
            make_folders(self._place.data)
            try:
                self._copy_all(is_stopped, progress)
                self._copy_database()
            except BaseException:
                self._remove_all()
                raise
        except OSError as error:
            remedy = "check the folder and its permissions"
            if error.errno in NO_SPACE:
                remedy = "free space on its disk, or restore to another one"
            raise FolderError(f"cannot restore to {self._place.data}", reason(error), remedy) from nameless(error)
        return self.report

    def _check_place(self) -> None:
        action = f"cannot restore to {self._place.data}"
        data, backup = Path(os.path.realpath(self._place.data)), Path(os.path.realpath(self._backup))
        if data == backup or data in backup.parents or backup in data.parents:
            raise FolderError(action, "it is, contains or is in the backup", "name another folder")
        try:
            if any(path.name not in _IGNORED for path in self._place.data.iterdir()):
                remedy = "name an empty folder, or move its contents away"
                raise FolderError(action, "the folder is not empty", remedy)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise FolderError(action, reason(error), "name an empty folder") from error
        file = self._place.database
        for taken in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
            if os.path.lexists(taken):
                raise FolderError(action, f"the database file {taken} exists", "move it away, with its -wal and -shm")

    def _copy_all(self, is_stopped: IsStopped, progress: Progress) -> None:
        report = self.report
        for name in SECRETS:
            copy_file(self._backup / name, self._place.data / name)
        records = (read_files(*each) for each in self._database.records(self._backup / DATABASE))
        for record, copies in in_parallel(records, self._copy, _THREADS):
            if is_stopped():
                raise Interrupted
            report.images += 1
            report.files += len(copies.sizes)
            report.bytes += sum(copies.sizes)
            report.problems += copies.problems
            progress(report.images, record.id)
        sync_tree(self._place.data)

    def _copy(self, record: RecordFiles) -> _Copies:
        done = _Copies(problems=[] if record.is_readable else [f"{record.id}: the record cannot be read"])
        for named in record.files:
            inside = self._layout(named.key)
            try:
                copied = copy_file(self._backup / inside, self._place.data / inside)
            except OSError as error:
                if error.errno != errno.EIO:  # a damaged disk: go on with what can be read
                    raise
                done.problems.append(f"{named.key}: cannot be read ({error.strerror})")
                (self._place.data / inside).unlink(missing_ok=True)
                continue
            if copied is None:
                if named.is_required:
                    done.problems.append(f"{named.key}: missing")
                continue
            done.sizes.append(copied.bytes)
            if fault := describe_fault(copied, named):
                done.problems.append(f"{named.key}: {fault}")
        return done

    def _copy_database(self) -> None:
        file = self._place.database
        make_folders(file.parent)
        unfinished = file.with_name(f"{file.name}.unfinished")
        try:
            copy_file(self._backup / DATABASE, unfinished)
            unfinished.rename(file)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_folder(file.parent)

    def _remove_all(self) -> None:
        """Remove what was restored. The folder was empty, so everything in it was."""
        with suppress(OSError):
            for path in self._place.data.iterdir():
                if path.is_dir() and not path.is_symlink():
                    if path.name not in _IGNORED:
                        shutil.rmtree(path)
                else:
                    path.unlink()
