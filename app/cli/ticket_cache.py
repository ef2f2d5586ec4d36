"""Tickets of unfinished uploads on disk, so that a later or parallel run of the command continues them.

The service recognizes duplicates once an image is ready. Until then only the client that requested a ticket knows it.
Without this cache an interrupted upload would be stored twice.
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

#: Fields of a ticket that the client uses.
TICKET = frozenset({"id", "method", "url", "headers"})
#: Entries are kept for a day, because a run checks the record of a ticket before it uses it. An entry is kept when its
#: image is ready too: another run may be about to look for it.
_LIFE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class CachedTicket:
    """A ticket, the request it answers, and `sent`: True if its bytes have arrived."""

    ticket: dict[str, Any]
    wanted: dict[str, Any] = field(default_factory=dict)
    sent: bool = False


class TicketCache:
    """Tickets of one API key at one service. If the folder cannot be written, the cache stays empty.

    A ticket is a permission to write, so only its user can read the folder.
    """

    def __init__(self, folder: Path | None, url: str, api_key: str) -> None:
        self._folder = folder
        self._caller = f"{url}\n{api_key}\n"
        if folder is None:
            return
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for note in folder.iterdir():
                if abs(time.time() - note.stat().st_mtime) > _LIFE_SECONDS:  # or from before the clock was set back
                    note.unlink()

    def find(self, sha256: str) -> CachedTicket | None:
        """Return the ticket of these bytes, or None."""
        path = self._path(sha256)
        try:
            note = CachedTicket(**json.loads(path.read_bytes() if path else b""))
        except (OSError, ValueError, TypeError):
            return None
        return note if isinstance(note.ticket, dict) and note.ticket.keys() >= TICKET else None

    def keep(self, sha256: str, note: CachedTicket) -> CachedTicket:
        """Store a new ticket. Return the stored one, which is another run's if that was first."""
        if not self._written(sha256, note, os.link):
            if found := self.find(sha256):
                return found
            self._written(sha256, note, os.replace)
        return note

    def arrived(self, sha256: str, note: CachedTicket) -> None:
        """Mark the bytes as arrived."""
        self._written(sha256, replace(note, sent=True), os.replace)

    def forget(self, sha256: str) -> None:
        """Remove the ticket of these bytes."""
        if path := self._path(sha256):
            with contextlib.suppress(OSError):
                path.unlink()

    def _path(self, sha256: str) -> Path | None:
        return self._folder and self._folder / f"{hashlib.sha256((self._caller + sha256).encode()).hexdigest()}.json"

    def _written(self, sha256: str, note: CachedTicket, place: Callable[[str, Path], None]) -> bool:
        """Write an entry atomically. Return True on success."""
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
    """Return the folder of the cache: in the user's cache folder, if there is one."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        return (caches if caches.is_absolute() else Path("~/.cache").expanduser()) / "darkroom" / "tickets"
    return None
