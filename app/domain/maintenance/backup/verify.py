"""Verify a backup: its database, and every file that it names."""

from dataclasses import dataclass, field
from pathlib import Path

from app.domain.errors import ConfigurationError
from app.domain.maintenance.backup.copying import Copied, hash_file, read_stat
from app.domain.maintenance.backup.create import Interrupted, IsStopped, Progress
from app.domain.maintenance.backup.manifest import DATABASE, Manifest, read_manifest
from app.domain.maintenance.backup.ports import DatabaseFiles, Layout
from app.domain.maintenance.backup.record_files import NamedFile, RecordFiles, read_files
from app.domain.maintenance.parallel import in_parallel
from app.domain.maintenance.transfer.folder import FolderError

_THREADS = 4


@dataclass
class VerifyReport:
    """Report of a verification. `problems` has a line for each fault: the key or name of a file, and the fault."""

    name: str
    images: int = 0
    files: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Found:
    files: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


class Verification:
    """Verification of one backup. It reads and changes nothing.

    Originals are compared with the SHA-256 and size of their records, variants with their sizes.
    """

    def __init__(self, backup: Path, database: DatabaseFiles, layout: Layout) -> None:
        self._backup = backup
        self._database = database
        self._layout = layout
        self.report = VerifyReport(backup.name)

    def run(self, is_stopped: IsStopped = lambda: False, progress: Progress = lambda *_: None) -> VerifyReport:
        """Verify the backup. Raises `FolderError` for one of a newer version, and `Interrupted` after a stop."""
        report = self.report
        manifest = open_manifest(self._backup)
        report.problems += check_database(self._backup, manifest, self._database)
        report.problems += [f"{name}: missing" for name in manifest.secrets if read_stat(self._backup / name) is None]
        if report.problems:
            return report  # the records cannot be relied on
        records = (read_files(*each) for each in self._database.records(self._backup / DATABASE))
        for record, found in in_parallel(records, self._check, _THREADS):
            if is_stopped():
                raise Interrupted
            report.images += 1
            report.files += found.files
            report.bytes += found.bytes
            report.problems += found.problems
            progress(report.images, record.id)
        return report

    def _check(self, record: RecordFiles) -> _Found:
        found = _Found(problems=[] if record.is_readable else [f"{record.id}: the record cannot be read"])
        for named in record.files:
            path = self._backup / self._layout(named.key)
            try:
                size, fault = self._check_file(path, named)
            except OSError as error:
                size, fault = 0, f"cannot be read ({error.strerror})"
            found.files += size is not None
            found.bytes += size or 0
            if fault:
                found.problems.append(f"{named.key}: {fault}")
        return found

    def _check_file(self, path: Path, named: NamedFile) -> tuple[int | None, str | None]:
        if named.sha256 is None:
            stat = read_stat(path)
            copied = None if stat is None else Copied(stat.st_size, "")
        else:
            copied = hash_file(path)
        if copied is None:
            return None, "missing" if named.is_required else None
        return copied.bytes, describe_fault(copied, named)


def describe_fault(found: Copied, named: NamedFile) -> str | None:
    """Return the difference between a file and its record, or None if there is none."""
    if named.bytes not in (None, found.bytes):
        return f"{found.bytes:,} bytes instead of {named.bytes:,}"
    return None if found.is_as_named(named) else "other bytes than its SHA-256 says"


def open_manifest(backup: Path) -> Manifest:
    """Return the manifest of a backup. Raises `FolderError` if it is missing, or of a newer version."""
    manifest = read_manifest(backup)
    if manifest is None:
        cause, remedy = "it has no manifest", "name a folder that `darkroom backup create` has written"
        raise FolderError(f"{backup} is not a backup", cause, remedy)
    return manifest


def check_database(backup: Path, manifest: Manifest, database: DatabaseFiles) -> list[str]:
    """Return the faults of the backup's database. Raises `FolderError` if a newer version wrote it."""
    if manifest.schema_version > database.newest_schema:
        cause = f"it was written by Darkroom {manifest.darkroom} (schema {manifest.schema_version})"
        raise FolderError(f"{backup} is of a newer version", cause, "use that version of Darkroom, or an older backup")
    found = hash_file(backup / DATABASE)
    if found is None:
        return [f"{DATABASE}: missing"]
    if found.sha256 != manifest.database_sha256:
        return [f"{DATABASE}: other bytes than its SHA-256 says"]
    try:
        database.check(backup / DATABASE)
    except ConfigurationError as error:
        return [f"{DATABASE}: {error}"]
    return []
