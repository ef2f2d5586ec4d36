"""Server that answers a request from a script, up to the byte at which it stops."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HalfAnswers:
    """`answers` are sent in turn, the last one again and again, to one connection each, which then ends. With
    `silent` it stays open instead, and nothing more is said. `requests` is how many there were."""

    def __init__(self, listener: socket.socket, answers: list[bytes], *, silent: bool) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.requests = 0
        self._listener = listener
        self._answers = answers
        self._silent = silent
        self._held: list[socket.socket] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                head += piece
            answer = self._answers[min(self.requests, len(self._answers) - 1)]
            self.requests += 1
            with contextlib.suppress(ConnectionError):  # the other side may close early
                connection.sendall(answer)
            if self._silent:
                with self._changed:
                    self._held.append(connection)
                    self._changed.notify_all()
            else:
                connection.close()

    def await_requests(self, count: int) -> None:
        """Wait until `count` requests were answered: a client may give up before this thread has read its request."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._held) >= count, 60), self.requests
        assert self.requests == count

    def was_left(self) -> bool:
        """Return True if the other side has closed the last connection."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._held) == self.requests, 60), "an answer is not sent yet"
        self._held[-1].settimeout(60)
        try:
            return self._held[-1].recv(1) == b""
        except ConnectionResetError:  # with bytes that it had not read
            return True

    def end(self) -> None:
        """Close everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)
        for connection in self._held:
            connection.close()


@contextmanager
def half_answers(*answers: bytes, silent: bool = False) -> Iterator[HalfAnswers]:
    """A server for the length of a block."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = HalfAnswers(listener, list(answers), silent=silent)
    try:
        yield server
    finally:
        server.end()
