"""Bring the files of records into a backup: linked from the previous one, or copied from the data folder."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.maintenance.backup.copying import copy_file, make_folders, read_stat
from app.domain.maintenance.backup.manifest import reason
from app.domain.maintenance.backup.ports import Layout
from app.domain.maintenance.backup.record_files import NamedFile, RecordFiles


@dataclass
class Brought:
    """Outcome for the files of one record: sizes, numbers and keys."""

    copied: list[int] = field(default_factory=list)
    linked: int = 0
    missing: int = 0
    damaged: list[str] = field(default_factory=list)
    rescued: list[str] = field(default_factory=list)


class FileCopies:
    """Files between a data folder, the previous backup and a new one. Its methods may run in several threads."""

    def __init__(self, data: Path, previous: Path | None, backup: Path, layout: Layout) -> None:
        self._data = data
        self._previous = previous
        self._backup = backup
        self._layout = layout
        #: The system's reason for refusing a hard link; None if it refused none.
        self.links_refused: str | None = None

    def bring(self, record: RecordFiles) -> Brought:
        """Bring all files of a record that are not there yet. Raises `OSError`."""
        done = Brought()
        for named in record.files:
            self._bring(named, done)
        return done

    def _bring(self, named: NamedFile, done: Brought) -> None:
        inside = self._layout(named.key)
        target, live = self._backup / inside, read_stat(self._data / inside)
        if read_stat(target) is not None:
            return  # of an earlier round: a key always holds the same bytes
        if live is not None and self._link_unchanged(inside, named, live, target):
            done.linked += 1
            return
        copied = copy_file(self._data / inside, target)
        if copied is not None and copied.is_as_named(named):
            done.copied.append(copied.bytes)
        elif copied is None:
            done.missing += named.is_required
        elif self.rescue(named):
            done.rescued.append(named.key)
        else:
            done.damaged.append(named.key)

    def _link_unchanged(self, inside: Path, named: NamedFile, live: os.stat_result, target: Path) -> bool:
        """Link the file of the previous backup if the live one has not changed since. Return False if not."""
        if self._previous is None or named.bytes not in (None, live.st_size):
            return False
        source = self._previous / inside
        kept = read_stat(source)
        if kept is None or (kept.st_size, kept.st_mtime_ns) != (live.st_size, live.st_mtime_ns):
            return False
        return self._link(source, target)

    def _link(self, source: Path, target: Path) -> bool:
        make_folders(target.parent)
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:  # the file system has no links, or no more of this file
            self.links_refused = reason(error)
            return False
        return True

    def rescue(self, named: NamedFile) -> bool:
        """Copy a file that the data folder has lost, or has with other bytes, from the previous backup.

        Return False if the previous backup does not have the bytes that the record describes. Raises `OSError`.
        """
        if self._previous is None or named.bytes is None:
            return False
        inside = self._layout(named.key)
        target = self._backup / inside
        spare = target.with_name(f"{target.name}.rescued")
        try:
            copied = copy_file(self._previous / inside, spare)
            if copied is None or not copied.is_as_named(named):
                return False
            spare.replace(target)
        finally:
            with suppress(FileNotFoundError):
                spare.unlink()
        return True
