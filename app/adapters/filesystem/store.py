"""Objects as files under one folder. `layout` says which file an object is.

Callers use keys as the port defines them, with two limits of files: a key has at least two segments, and no key is
another key followed by `/` and more.
"""

import io
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from app.adapters.filesystem.durable import Move, is_taken, link_new, rename, replace, write_new
from app.adapters.filesystem.folders import is_plain, read_info, walk
from app.adapters.filesystem.layout import TEMPORARY, locate
from app.adapters.filesystem.spool import SpoolFile
from app.domain.disk import PortFile, check_free, nameless, port_error, port_errors
from app.domain.errors import AlreadyExists, ConfigurationError, Missing, Unavailable
from app.domain.keys import ORIGINALS, PROCESSED, PUBLIC
from app.domain.ports import ObjectInfo

log = logging.getLogger(__name__)

_PROBE = ".probe-"  # directly below a prefix, where no object is
_BLOCK = 4096
_ATTEMPTS = 100


class FilesystemStore:
    """An `ObjectStore` in a folder, which is made if it does not exist.

    `on_created(key, size)` is called for every original created, as a bucket would send a notification. Its failure is
    logged and changes nothing else, because reconciliation sends the event of a `pending` record again.
    `min_free_bytes` is the reserve of the disk: below it `create` and `spool` raise `Full`. Raises `ConfigurationError`
    if the folder cannot be used.
    """

    def __init__(
        self, root: Path, on_created: Callable[[str, int], None] | None = None, *, min_free_bytes: int = 0
    ) -> None:
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root = Path(os.path.realpath(root, strict=True))  # it may be a link, nothing in it may
            self._temporary = self._root / TEMPORARY
            self._temporary.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"The data folder {root} cannot be used: {error.strerror}.") from error
        if not is_plain(self._temporary):
            raise ConfigurationError(f"The data folder {root} cannot be used: {TEMPORARY} in it is a symbolic link.")
        self._on_created = on_created
        self._min_free_bytes = min_free_bytes

    def create(self, key: str, body: BinaryIO, *, size: int, content_type: str) -> None:  # noqa: ARG002 - files have no content type
        """See `ObjectStore.create`. Raises `ValueError` if `key` is not a key."""
        target = self._place(key)
        with port_errors():
            if is_plain(target.parent) and is_taken(target, self._folders(target)):
                raise AlreadyExists(key)
            self.check_space(size)
            with self._staged(body, size) as temporary:
                self._bring(link_new, temporary, target)
        if self._on_created and key.startswith(ORIGINALS):
            try:
                self._on_created(key, size)
            except Exception:
                log.exception("no event was sent for a new original; reconcile will", extra={"key": key})

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str, lasting: bool = True) -> None:  # noqa: ARG002 - files have no content type
        """See `ObjectStore.put`. Raises `ValueError` if `key` is not a key."""
        target = self._place(key)
        with port_errors(), self._staged(body, size, lasting=lasting) as temporary:
            self._bring(replace if lasting else rename, temporary, target)

    def copy(self, source: str, target: str) -> None:
        """See `ObjectStore.copy`. Raises `ValueError` if `target` is not a key.

        The copy is no hard link, because links share their modification time.
        """
        with self.open(source) as body:
            with port_errors():
                size = os.fstat(body.fileno()).st_size
            self.put(target, body, size=size, content_type="")

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """See `ObjectStore.open`."""
        path = self.path(key)
        if path is None:
            raise Missing(key)
        try:
            # O_NONBLOCK: opening a pipe that someone put there must not block forever.
            raw = PortFile(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
        except FileNotFoundError:
            raise Missing(key) from None
        except OSError as error:
            raise port_error(error) from nameless(error)
        with io.BufferedReader(raw, 64 * 1024) as stream:
            yield stream

    def share(self, key: str, path: Path) -> bool:
        """See `ObjectStore.share`. The file becomes a hard link, unless it is on another disk or the system refuses."""
        source = self.path(key)
        if source is None:
            raise Missing(key)
        try:
            os.link(source, path, follow_symlinks=False)
        except FileNotFoundError:
            raise Missing(key) from None
        except OSError:
            return False
        return True

    def stat(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        path = self.path(key)
        with port_errors(), suppress(FileNotFoundError):
            return read_info(key, path.lstat()) if path else None
        return None

    find = stat  # which already raises for files that cannot be examined

    def path(self, key: str) -> Path | None:
        """Return the file of the object: a regular file, reached over no symbolic link. None if there is none."""
        try:
            path = self._place(key)
        except ValueError:
            return None
        with port_errors(), suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISREG(path.lstat().st_mode) and is_plain(path.parent):
                return path
            log.warning("the path of an object is not a regular file", extra={"key": key})
        return None

    def spool(self) -> BinaryIO:
        """See `ObjectStore.spool`."""
        with port_errors():
            return SpoolFile(self._temporary, self.check_space)

    def check_space(self, size: int) -> None:
        """See `ObjectStore.check_space`."""
        with port_errors():
            check_free(self._root, size, self._min_free_bytes)

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`. Folders left empty go too."""
        try:
            path = self._place(key)
        except ValueError:
            return
        if is_plain(path.parent):
            with port_errors(), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()
            self._prune(path.parent)

    def delete_prefix(self, prefix: str) -> int:
        """See `ObjectStore.delete_prefix`. Folders left empty go too."""
        folder = self._folder(prefix)
        removed = 0
        if folder and is_plain(folder):
            with port_errors():
                for path, is_folder in walk(folder):
                    if is_folder:
                        self._prune(path)
                    else:
                        path.unlink(missing_ok=True)
                        removed += 1
            self._prune(folder)
        return removed

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        folder = self._folder(prefix)
        if folder and is_plain(folder):
            with port_errors():
                for path, is_folder in walk(folder):
                    if not is_folder and (info := self.stat(self._key(path))):
                        yield info

    def ping(self) -> None:
        """See `ObjectStore.ping`. Performs every step of storing an object: some file systems do not support links."""
        self.check_space(_BLOCK)
        with port_errors(), self._staged(io.BytesIO(bytes(_BLOCK)), _BLOCK) as temporary:
            for move, prefix in ((link_new, ORIGINALS), (replace, PROCESSED)):
                probe = self._root / prefix / f"{_PROBE}{temporary.name}"
                try:
                    self._bring(move, temporary, probe)
                finally:
                    with suppress(OSError):
                        probe.unlink()

    def sweep(self, older_than: float = 3600) -> int:
        """Remove temporary files last modified at least `older_than` seconds ago, left by killed processes.

        A modification time equally far in the future comes from a clock that was set back. Files that cannot be
        removed stay. Return the number of removed files.
        """
        removed = 0
        now = time.time()
        with port_errors():
            probes = [path for prefix in (ORIGINALS, PROCESSED) for path in (self._root / prefix).glob(f"{_PROBE}*")]
            for path in [*self._temporary.iterdir(), *probes]:
                with suppress(OSError):
                    if abs(now - path.lstat().st_mtime) >= older_than:
                        path.unlink()
                        removed += 1
        return removed

    def _place(self, key: str) -> Path:
        return self._root / locate(key)

    def _key(self, path: Path) -> str:
        """Return the key of the object in a file."""
        inside = path.relative_to(self._root).as_posix()
        top = PUBLIC if inside.startswith(PUBLIC) else f"{inside.partition('/')[0]}/"
        return top + inside.removeprefix(top).partition("/")[2]

    def _folder(self, prefix: str) -> Path | None:
        """Return the folder of all objects whose key starts with `prefix`; None if `prefix` cannot have any."""
        try:
            inside = self._place(f"{prefix}-")
        except ValueError:
            return None
        return inside.parents[1] if prefix == PUBLIC or prefix.count("/") == 1 else inside.parent

    @contextmanager
    def _staged(self, body: BinaryIO, size: int, *, lasting: bool = True) -> Iterator[Path]:
        """Give the rest of `body` a temporary name, which is removed afterwards: that of its own file if it is
        a spool of this store, else of a copy."""
        temporary = self._temporary / uuid4().hex
        try:
            if isinstance(body, SpoolFile) and body.link(temporary, size):
                os.fsync(body.fileno())  # btrfs ignores an fsync of files without a name
            else:
                write_new(body, size, temporary, lasting=lasting)
            yield temporary
        finally:
            with suppress(OSError):  # the object is stored or refused already; `sweep` removes files left here
                temporary.unlink()

    def _bring(self, move: Move, temporary: Path, target: Path) -> None:
        """Move the file to the target, whose folders are created if they do not exist."""
        folders = self._folders(target)
        for attempt in range(_ATTEMPTS):
            try:
                if not is_plain(target.parent):
                    raise Unavailable("A folder of the store is a symbolic link.")
                move(temporary, target, folders)
            except FileNotFoundError:  # there never was a folder, or a delete has removed it while it was empty
                if attempt == _ATTEMPTS - 1:
                    raise
                for folder in reversed(folders[:-1]):
                    with suppress(FileExistsError, FileNotFoundError):  # the next attempt creates it again
                        folder.mkdir(mode=0o700)
            else:
                return

    def _folders(self, target: Path) -> Sequence[Path]:
        """Return the folders above the target, from its own up to the root."""
        folders = [target.parent]
        while folders[-1] != self._root:
            folders.append(folders[-1].parent)
        return folders

    def _prune(self, folder: Path) -> None:
        """Remove the folder and its parents as long as they are empty. Top-level folders stay."""
        while self._root not in (folder, folder.parent):
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:  # not empty
                return
            folder = folder.parent
