"""Socket on which the worker process gives its figures to the server: it answers each connection and closes it."""

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.domain.unix_sockets import usable_path

log = logging.getLogger(__name__)

#: Seconds for a scrape to wait for the worker, and for the worker to be read.
_SECONDS = 3.0
_MAX_BYTES = 1024 * 1024
_BACKLOG = 8
#: Seconds after which a process that has no free descriptor tries again.
_RETRY_SECONDS = 1.0
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


class FiguresSocket:
    """Answers on the socket at `path`, in a thread of its own. Only the user of this process can connect.

    An older socket is replaced: the lock of the data folder guarantees that no other worker answers on it. Without a
    socket the worker works, and its figures are missing.
    """

    def __init__(self, path: Path, exposition: Callable[[], bytes]) -> None:
        self._path = path
        self._exposition = exposition
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen."""
        listener = socket.socket(socket.AF_UNIX)
        try:
            self._path.unlink(missing_ok=True)
            with usable_path(self._path) as path:
                listener.bind(path)
                os.chmod(path, 0o600)  # noqa: PTH101 - not the path of the object
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            log.exception("no socket for figures")
            return
        self._listener = listener
        threading.Thread(target=self._serve, args=(listener,), name="figures", daemon=True).start()

    def stop(self) -> None:
        """Stop listening, and remove the socket."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
            self._listener.close()
            self._path.unlink(missing_ok=True)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if error.errno not in _NO_DESCRIPTOR:  # closed
                    return
                time.sleep(_RETRY_SECONDS)
                continue
            try:
                with connection:
                    connection.settimeout(_SECONDS)
                    connection.sendall(self._exposition())
            except OSError:
                log.debug("a reader of the figures has hung up")
            except Exception:
                log.exception("the figures could not be written")


def read_figures(path: Path) -> bytes:
    """Return the worker's figures; none if it does not answer in time, or answers in part."""
    deadline = time.monotonic() + _SECONDS
    found = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            with usable_path(path) as usable:
                connection.connect(usable)
            while piece := connection.recv(64 * 1024):
                found += piece
                if len(found) > _MAX_BYTES:
                    return b""
                connection.settimeout(max(0.001, deadline - time.monotonic()))
    except OSError:
        return b""
    return found if found.endswith(b"\n") else b""
