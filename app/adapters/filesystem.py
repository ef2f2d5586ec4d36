"""Objects as files under one folder.

`originals/<id>` is the file `originals/<xx>/<id>` and `processed/<id>/<rest>` is `processed/<xx>/<id>/<rest>`, where
`<xx>` are the last two digits of the id: the first ones are its date, and would put a day's images into one folder.
Outside, keys are as the port says, with two limits that files bring: a key has at least two segments, and is never
another key continued by `/`.
"""

import io
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from app.domain.errors import AlreadyExists, ConfigurationError, Missing, Unavailable
from app.domain.ids import is_id
from app.domain.keys import ORIGINALS
from app.domain.ports import ObjectInfo

log = logging.getLogger(__name__)

_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}")
_KEY_LENGTH = 1024  # as much as S3 takes
_TEMPORARY = "tmp"
_UNSHARDED = "_"  # where names that are no ids lie
_PIECE = 1024 * 1024
_BLOCK = 4096
_ATTEMPTS = 100


class FilesystemStore:
    """An `ObjectStore` in a folder, which is made if it is not there.

    `on_created(key, size)` is told of every original created: the notification that a bucket would send. Its failure
    is logged and changes nothing else, because a record left `pending` gets its event again by reconciliation.
    Raises `ConfigurationError` if the folder cannot be used.
    """

    def __init__(self, root: Path, on_created: Callable[[str, int], None] | None = None) -> None:
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._root = Path(os.path.realpath(root, strict=True))  # it may be a link; nothing in it may
            self._temporary = self._root / _TEMPORARY
            self._temporary.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"The data folder {root} cannot be used: {error.strerror}.") from error
        if not _is_plain(self._temporary):
            raise ConfigurationError(f"The data folder {root} cannot be used: {_TEMPORARY} in it is a symbolic link.")
        self._on_created = on_created

    def create(self, key: str, body: BinaryIO, *, size: int, content_type: str) -> None:  # noqa: ARG002 - files have none
        """See `ObjectStore.create`. Raises `ValueError` for what is not a key."""
        target = self._place(key)
        if os.path.lexists(target):
            raise AlreadyExists(key)
        with _refusals(), self._written(body, size) as temporary:
            self._bring(lambda: _link(temporary, target), target)
        if self._on_created and key.startswith(ORIGINALS):
            try:
                self._on_created(key, size)
            except Exception:
                log.exception("nobody was told of a new original; reconcile will", extra={"key": key})

    def put(self, key: str, body: BinaryIO, *, size: int, content_type: str) -> None:  # noqa: ARG002 - files have none
        """See `ObjectStore.put`. Raises `ValueError` for what is not a key."""
        target = self._place(key)
        with _refusals(), self._written(body, size) as temporary:
            self._bring(lambda: temporary.replace(target), target)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """See `ObjectStore.open`."""
        path = self.path(key)
        if path is None:
            raise Missing(key)
        try:
            # Without O_NONBLOCK a pipe planted there would hold the caller for ever.
            raw = _Reader(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
        except FileNotFoundError as error:
            raise Missing(key) from error
        except OSError as error:
            raise _refusal(error) from error
        with io.BufferedReader(raw, 64 * 1024) as stream:
            yield stream

    def stat(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.stat`."""
        path = self.path(key)
        with _refusals(), suppress(FileNotFoundError):
            return _info(key, path.lstat()) if path else None
        return None

    find = stat  # what may not be looked at is refused there already

    def path(self, key: str) -> Path | None:
        """The file that holds the object, or None if there is none: a regular file, reached over no symbolic link."""
        try:
            path = self._place(key)
        except ValueError:
            return None
        with _refusals(), suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISREG(path.lstat().st_mode) and _is_plain(path.parent):
                return path
            log.warning("where an object belongs lies something else than a file", extra={"key": key})
        return None

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`. Folders left empty go too."""
        try:
            path = self._place(key)
        except ValueError:
            return
        if _is_plain(path.parent):
            with _refusals(), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()
            self._prune(path.parent)

    def delete_prefix(self, prefix: str) -> int:
        """See `ObjectStore.delete_prefix`. Folders left empty go too."""
        folder = self._folder(prefix)
        removed = 0
        if folder and _is_plain(folder):
            with _refusals():
                for path, is_folder in _walk(folder):
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
        if folder and _is_plain(folder):
            with _refusals():
                for path, is_folder in _walk(folder):
                    first, _shard, *rest = path.relative_to(self._root).parts
                    if not is_folder and (info := self.stat("/".join((first, *rest)))):
                        yield info

    def ping(self) -> None:
        """See `ObjectStore.ping`. It writes a block, since a full disk refuses nothing less."""
        with _refusals(), self._written(io.BytesIO(bytes(_BLOCK)), _BLOCK):
            pass

    def sweep(self, older_than: float = 3600) -> int:
        """Remove temporary files that were last modified at least `older_than` seconds ago: killed processes left them.
        A modification time equally far in the future is from before the clock was set back. Return how many."""
        removed = 0
        now = time.time()
        with _refusals():
            for path in [*self._temporary.iterdir()]:
                with suppress(FileNotFoundError):
                    if abs(now - path.lstat().st_mtime) >= older_than:
                        path.unlink()
                        removed += 1
        return removed

    def _place(self, key: str) -> Path:
        first, *rest = key.split("/")
        if (
            not rest
            or first == _TEMPORARY
            or len(key) > _KEY_LENGTH
            or not all(map(_SEGMENT.fullmatch, (first, *rest)))
        ):
            raise ValueError(f"not a key: {key[:100]!r}")
        shard = rest[0][-2:] if is_id(rest[0]) else _UNSHARDED
        return self._root.joinpath(first, shard, *rest)

    def _folder(self, prefix: str) -> Path | None:
        """Where everything lies whose key starts with `prefix`; None if that is nothing."""
        try:
            inside = self._place(f"{prefix}-")
        except ValueError:
            return None
        return inside.parents[1] if prefix.count("/") == 1 else inside.parent

    @contextmanager
    def _written(self, body: BinaryIO, size: int) -> Iterator[Path]:
        """A temporary file that holds the rest of `body`, safe on the disk; gone afterwards."""
        temporary = self._temporary / uuid4().hex
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                written = 0
                while written <= size and (piece := body.read(_PIECE)):
                    written += file.write(piece)
                if written != size:
                    found = "more" if written > size else str(written)
                    raise Unavailable(f"The body has {found} bytes where {size} were announced.")
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _bring(self, move: Callable[[], object], target: Path) -> None:
        """Make the target's folders, move the file there, and make both survive a power cut."""
        folders = [folder for folder in reversed(target.parents) if self._root in folder.parents]
        for attempt in range(_ATTEMPTS):
            try:
                for folder in folders:
                    with suppress(FileExistsError):
                        folder.mkdir(mode=0o700)
                if not _is_plain(target.parent):
                    raise Unavailable("A symbolic link lies where a folder of the store belongs.")
                move()
                break
            except FileNotFoundError:  # a delete has removed a folder that was empty until now
                if attempt == _ATTEMPTS - 1:
                    raise
        try:
            with suppress(FileNotFoundError):  # deleted again already
                for folder in (*reversed(folders), self._root):
                    _sync_folder(folder)
        except OSError:
            target.unlink(missing_ok=True)
            raise

    def _prune(self, folder: Path) -> None:
        """Remove the folder and those above it as far as they are empty, but none of the top ones."""
        while self._root not in (folder, folder.parent):
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:  # not empty
                return
            folder = folder.parent


class _Reader(io.FileIO):
    """A file whose read errors are the port's."""

    def readinto(self, buffer: Any, /) -> int | None:
        with _refusals():
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with _refusals():
            return super().readall()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(error) from error


def _refusal(error: OSError) -> Unavailable:
    return Unavailable(f"The data folder refused: {error.strerror or 'input/output error'}.")


def _link(temporary: Path, target: Path) -> None:
    """Give the file its name unless that is taken: the one step that of racing writers only one can take."""
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError as error:
        raise AlreadyExists(target.name) from error


def _is_plain(folder: Path) -> bool:
    """Whether no part of the path is a symbolic link, below a root that is none. A folder not there is plain."""
    return os.path.realpath(folder) == str(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Everything below the folder, and whether it is one, which comes after what is in it. Links are not followed."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder:
                yield from _walk(Path(entry))
            yield Path(entry), is_folder


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
