"""Relay to a backend that can be blocked: connections are still accepted, but nothing passes."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_LOOK_SECONDS = 0.05


class Relay:
    """`url` leads to the backend while the relay is not blocked; what has come meanwhile passes afterwards."""

    def __init__(self, backend: str) -> None:
        address = urlsplit(backend)
        self._backend = (address.hostname, address.port)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Nothing passes as long as this lasts."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        self._server.settimeout(_LOOK_SECONDS)
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._server.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._backend) as backend:
            ways = {client: backend, backend: client}
            with selectors.DefaultSelector() as selector:
                for end in ways:
                    selector.register(end, selectors.EVENT_READ)
                while not self._ended.is_set():
                    for key, _ in selector.select(_LOOK_SECONDS) if self._open.wait(_LOOK_SECONDS) else ():
                        here = key.fileobj
                        assert isinstance(here, socket.socket)
                        data = here.recv(65536)
                        if not data:
                            return
                        ways[here].sendall(data)


@contextmanager
def relay_to(backend: str) -> Iterator[Relay]:
    """A relay to the backend at this url."""
    relay = Relay(backend)
    try:
        yield relay
    finally:
        relay.close()
