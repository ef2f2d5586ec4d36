"""Tickets under way, noted on disk: a command that runs again, or beside another, goes on with them.

The service knows a picture by its hash once it is ready. Until then only who asked for the ticket knows where its bytes
are going, so that the command has to remember it, or would store an interrupted upload twice.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

#: What is needed of a ticket.
TICKET = frozenset({"id", "method", "url", "headers"})
#: How long a note is kept, for what it leads to is looked at before it is believed. It is not put away when its picture
#: is ready: another run may have asked for a ticket just before that, and be about to look whether there is a note.
_LIFE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Note:
    """A ticket, what it was asked for with, and whether its bytes are known to have arrived."""

    ticket: dict[str, Any]
    wanted: dict[str, Any] = field(default_factory=dict)
    sent: bool = False


class UnderWay:
    """The notes of one caller at one service. Nothing depends on them: where they cannot be kept, there are none.

    A ticket is a right to write for some minutes, so the folder is for its user's eyes.
    """

    def __init__(self, folder: Path | None, url: str, api_key: str) -> None:
        self._folder = folder
        self._caller = f"{url}\n{api_key}\n"
        if folder is None:
            return
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for note in folder.iterdir():
                if abs(time.time() - note.stat().st_mtime) > _LIFE_SECONDS:  # also one of a clock that was set back
                    note.unlink()

    def find(self, sha256: str) -> Note | None:
        """The note about these bytes."""
        path = self._path(sha256)
        try:
            note = Note(**json.loads(path.read_bytes() if path else b""))
        except (OSError, ValueError, TypeError):
            return None
        return note if isinstance(note.ticket, dict) and note.ticket.keys() >= TICKET else None

    def keep(self, sha256: str, note: Note) -> Note:
        """Take down a new ticket; the note that holds, which is another's if that was there first."""
        if not self._written(sha256, note, os.link):
            if found := self.find(sha256):
                return found
            self._written(sha256, note, os.replace)
        return note

    def arrived(self, sha256: str, note: Note) -> None:
        """Take down that the bytes are there."""
        self._written(sha256, replace(note, sent=True), os.replace)

    def forget(self, sha256: str) -> None:
        """The note leads to nothing any more."""
        if path := self._path(sha256):
            with contextlib.suppress(OSError):
                path.unlink()

    def _path(self, sha256: str) -> Path | None:
        return self._folder and self._folder / f"{hashlib.sha256((self._caller + sha256).encode()).hexdigest()}.json"

    def _written(self, sha256: str, note: Note, place: Callable[[str, Path], None]) -> bool:
        """Write the note, whole or not at all; whether it came to its place."""
        path = self._path(sha256)
        if path is None:
            return False
        try:
            descriptor, fresh = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(json.dumps(asdict(note)))
                place(fresh, path)
            finally:
                Path(fresh).unlink(missing_ok=True)
        except OSError:
            return False
        return True


def folder() -> Path | None:
    """Where notes are kept: in the user's cache, if there is one."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with contextlib.suppress(RuntimeError):  # a user without a home
        return (caches if caches.is_absolute() else Path("~/.cache").expanduser()) / "darkroom" / "tickets"
    return None
