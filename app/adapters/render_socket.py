"""`OnDemandRenderer` on the socket of the self-hosted worker process."""

import logging
import socket
import threading
import time
from pathlib import Path

from app.domain.errors import RendererBusy, Unavailable
from app.domain.ports import RenderedSize
from app.domain.ports.render_messages import MAX_MESSAGE, RenderRequest, read_answer
from app.domain.sizes.operation import Operation
from app.domain.unix_sockets import usable_path

log = logging.getLogger(__name__)

#: Calls at the same time. Each holds a thread of the server while it waits.
_MAX_CALLS = 24
_RETRY_SECONDS = 2


class SocketRenderer:
    """Asks the worker process that listens at `path`. A call takes `seconds` at most."""

    def __init__(self, path: Path, *, seconds: float = 20) -> None:
        self._path = path
        self._seconds = seconds
        self._calls = threading.Semaphore(_MAX_CALLS)

    def render(self, image_id: str, operation: Operation) -> RenderedSize:
        """See `OnDemandRenderer.render`. Raises `Unavailable` while no worker process listens, and if it ends."""
        if not self._calls.acquire(blocking=False):
            raise RendererBusy(_RETRY_SECONDS)
        try:
            request = RenderRequest(image_id=image_id, operation=operation.name)
            answer = self._exchange(request.model_dump_json().encode() + b"\n")
        finally:
            self._calls.release()
        return read_answer(answer).unpack(image_id)

    def _exchange(self, request: bytes) -> bytes:
        """Send a line and return the line that answers it."""
        deadline = time.monotonic() + self._seconds
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(self._seconds)
                with usable_path(self._path) as path:
                    connection.connect(path)
                connection.sendall(request)
                while not answer.endswith(b"\n") and len(answer) <= MAX_MESSAGE:
                    connection.settimeout(max(0.001, deadline - time.monotonic()))
                    piece = connection.recv(MAX_MESSAGE)
                    if not piece:
                        raise Unavailable("The worker process ended while it rendered a size.")
                    answer += piece
        except TimeoutError:  # it goes on, and a later request finds the size
            raise RendererBusy(_RETRY_SECONDS) from None
        except OSError as error:  # no socket, a stale one, or a full backlog
            log.warning("the worker process does not answer on its socket", extra={"error": error.strerror})
            raise Unavailable("The worker process that renders sizes is not running.") from error
        return answer
