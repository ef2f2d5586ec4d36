"""Import of any folder of images: each is stored as an upload of an owner."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import Full, PortError, RequestError, Unavailable
from app.domain.limits import Limits
from app.domain.maintenance.parallel import in_parallel
from app.domain.maintenance.transfer.folder import read_pieces
from app.domain.maintenance.transfer.report import AdoptReport
from app.domain.media import media_type_of
from app.domain.other_formats import NAMING_BYTES, unsupported_type
from app.domain.ports import ObjectStore
from app.domain.uploads.descriptions import Description
from app.domain.uploads.filenames import display_name
from app.domain.uploads.requests import Upload
from app.domain.uploads.service import Uploads

#: Folders and files of other programs in folders of photographs. Hidden ones are left out too.
_JUNK = frozenset({"@eaDir", "@__thumb", "#recycle", "$RECYCLE.BIN", "Thumbs.db", "desktop.ini"})
_MOST_FAILURES = 20


@dataclass
class _Adopted:
    """Outcome of one file. `ignored` and `refusal` are reasons."""

    stored_bytes: int = 0
    is_known: bool = False
    ignored: str | None = None
    refusal: str | None = None
    failed: PortError | None = None


class Adoption:
    """One run over a folder. Safe while the service runs, and repeatable: known bytes are not stored again."""

    def __init__(
        self,
        store: ObjectStore,
        uploads: Uploads,
        limits: Limits,
        root: Path,
        *,
        owner: str,
        description: Description,
    ) -> None:
        self.report = AdoptReport()
        self._store = store
        self._uploads = uploads
        self._limits = limits
        self._root = root
        self._owner = owner
        self._description = description

    def run(
        self,
        *,
        is_stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int, str], None] = lambda *_: None,
        on_refused: Callable[[str, str], None] = lambda *_: None,
    ) -> AdoptReport:
        """Store every image of the folder. `on_refused` gets the path of each other file, and the reason.

        Raises `PortError` if a backend fails.
        """
        report, failures = self.report, 0

        def paths() -> Iterator[Path]:
            for path in _files(self._root):
                if is_stopped():
                    return
                yield path

        for path, done in in_parallel(paths(), self._visit):
            failures = failures + 1 if done.failed else 0
            if failures == _MOST_FAILURES:
                raise Unavailable(f"{failures} files in a row could not be stored.") from done.failed
            name = os.fsencode(path.relative_to(self._root)).decode(errors="replace")
            report.files += 1
            report.stored_bytes += done.stored_bytes
            report.known += done.is_known
            report.ignored += done.ignored is not None
            report.refused += done.refusal is not None
            report.new += not (done.is_known or done.ignored or done.refusal)
            if reason := done.ignored or done.refusal:
                on_refused(name, reason)
            if done.refusal is not None:
                report.first_refusal = report.first_refusal or f"{name}: {done.refusal}"
            progress(report.files, name)
        report.complete = not is_stopped()
        return report

    def _visit(self, path: Path) -> _Adopted:
        try:
            return self._store_file(path)
        except RequestError as error:
            return _Adopted(refusal=error.detail)
        except Full:
            raise
        except PortError as error:
            return _Adopted(refusal=f"the store failed: {error}", failed=error)
        except OSError as error:
            return _Adopted(refusal=f"cannot be read: {(error.strerror or str(error)).lower()}")

    def _store_file(self, path: Path) -> _Adopted:
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            return _Adopted(refusal="the folder cannot be read")
        if not stat.S_ISREG(mode):
            return _Adopted(ignored="a symbolic link" if stat.S_ISLNK(mode) else "not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file, self._store.spool() as body:
            head = file.read(NAMING_BYTES)
            media_type = media_type_of(head)
            if media_type is None or media_type not in self._limits.accepted_types:
                reason = unsupported_type(head, media_type, self._limits.accepted_types).detail
                return _Adopted(ignored=reason if head else "the file is empty")
            limit = self._limits.max_direct_bytes
            digest, size = hashlib.sha256(head), body.write(head)
            for piece in read_pieces(file):
                size += len(piece)
                if size > limit:
                    return _Adopted(refusal=f"larger than {limit:,} bytes, the limit of this service")
                digest.update(piece)
                body.write(piece)
            upload = Upload(
                body=body,
                size=size,
                sha256=digest.hexdigest(),
                content_type=media_type,
                filename=display_name(os.fsencode(path.name).decode(errors="replace")),
                description=self._description,
            )
            accepted = self._uploads.accept(self._owner, upload)
        return _Adopted(is_known=True) if accepted.duplicate else _Adopted(stored_bytes=size)


def _files(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, sorted by name within each, without hidden ones. Folders that cannot be read are
    yielded too, so that they are reported."""
    errors: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=errors.append):
        folders[:] = sorted(name for name in folders if _is_shown(name))
        yield from (Path(folder, name) for name in sorted(names) if _is_shown(name))
        for error in errors:
            yield Path(os.fsdecode(error.filename))
        errors.clear()


def _is_shown(name: str) -> bool:
    return not name.startswith(".") and name not in _JUNK
