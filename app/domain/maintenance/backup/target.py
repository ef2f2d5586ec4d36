"""Folder of backups: its lock, the names of the backups in it, and those that are not complete."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.domain.disk import NO_SPACE
from app.domain.maintenance.backup.copying import make_folders, sync_folder
from app.domain.maintenance.backup.manifest import MANIFEST, reason
from app.domain.maintenance.transfer.folder import FolderError

#: Lock of a run. It also marks a folder of backups.
LOCK = ".darkroom-backups"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
_FORMAT = "%Y-%m-%dT%H-%M-%SZ"
_UNFINISHED, _REMOVED = ".unfinished-", ".removed-"


class Target:
    """Locked folder of backups. A backup is written under a hidden name and renamed when it is complete."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def complete(self) -> list[Path]:
        """Return the complete backups, the oldest first."""
        return complete_backups(self.root)

    def start(self, now: datetime) -> Path:
        """Make the folder of a new backup. Its name is later than those of all others, even if the clock was set back.

        What interrupted runs have left is removed. Raises `OSError`.
        """
        self.clear()
        name = now.astimezone(UTC).strftime(_FORMAT)
        if (backups := self.complete()) and name <= (last := backups[-1].name):
            name = (datetime.strptime(last, _FORMAT).replace(tzinfo=UTC) + timedelta(seconds=1)).strftime(_FORMAT)
        unfinished = self.root / f"{_UNFINISHED}{name}"
        unfinished.mkdir(mode=0o700)
        return unfinished

    def finish(self, unfinished: Path) -> Path:
        """Give a backup, all of whose files are durable, its name. Raises `OSError`."""
        backup = self.root / unfinished.name.removeprefix(_UNFINISHED)
        unfinished.rename(backup)
        sync_folder(self.root)
        return backup

    def keep(self, number: int) -> list[str]:
        """Remove the oldest backups, except for this many. Return the names of those removed. Raises `OSError`."""
        old = self.complete()[:-number]
        for backup in old:
            backup.rename(self.root / f"{_REMOVED}{backup.name}")  # so that no half of it counts as a backup
        if old:
            sync_folder(self.root)
        self.clear()
        return [backup.name for backup in old]

    def clear(self) -> None:
        """Remove backups that are not complete, or whose removal was interrupted. Raises `OSError`."""
        for path in [*self.root.glob(f"{_UNFINISHED}*"), *self.root.glob(f"{_REMOVED}*")]:
            shutil.rmtree(path)

    def error(self, error: OSError) -> FolderError:
        """Build the error of a system call on the folder."""
        remedy = "check the folder and its permissions; earlier backups are unchanged"
        if error.errno in NO_SPACE:
            remedy = "free space on its disk, such as by removing old backups in it; earlier backups are unchanged"
        return FolderError(f"cannot write to {self.root}", reason(error), remedy)


def complete_backups(folder: Path) -> list[Path]:
    """Return the complete backups in a folder, the oldest first. Raises `OSError`."""
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and not path.is_symlink()]
    return sorted(path for path in found if (path / MANIFEST).is_file())


def find_backup(path: Path) -> Path:
    """Return the backup that a path names: itself, or the newest one in it. Raises `FolderError`."""
    try:
        if (path / MANIFEST).is_file():
            return path
        backups = complete_backups(path)
    except OSError as error:
        raise FolderError(f"cannot open {path}", reason(error), "check the name and the permissions") from error
    if not backups:
        cause = "it holds no complete backup"
        raise FolderError(f"{path} is not a backup", cause, "name a folder that `darkroom backup create` has written")
    return backups[-1]


@contextmanager
def open_target(path: Path, data: Path) -> Iterator[Target]:
    """Open a folder of backups and lock it; create it if it does not exist. Raises `FolderError`.

    Refused are a folder with other files, and one in or around the data folder, which a lost disk would take along.
    """
    action = f"cannot back up to {path}"
    _check_place(path, data, action)
    try:
        make_folders(path)
        if not (path / LOCK).is_file() and any(entry.name != "lost+found" for entry in path.iterdir()):
            raise FolderError(action, "it holds other files", "name an empty folder, or one of earlier backups")
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise FolderError(action, "a file is in the way", "name another folder") from error
    except OSError as error:
        raise Target(path).error(error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(action, "another backup to it is running", "wait for its end") from None
        except OSError as error:
            raise FolderError(action, f"its file system has no locks ({reason(error)})", "use another disk") from error
        yield Target(Path(os.path.realpath(path)))
    finally:
        os.close(descriptor)


def _check_place(path: Path, data: Path, action: str) -> None:
    """Refuse a folder in the data folder, and one around it. Mounts and links have several names."""
    given, kept = Path(os.path.realpath(path)), Path(os.path.realpath(data))
    inside = any(_is_same(folder, kept) for folder in (given, *given.parents))
    if inside or any(_is_same(folder, given) for folder in kept.parents):
        raise FolderError(action, f"it is, contains or is in the data folder {kept}", "name a folder on another disk")


def _is_same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False
