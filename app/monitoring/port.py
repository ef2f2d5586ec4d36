"""Port of its own for scrapes, without authentication."""

import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6, SHUT_RDWR
from socketserver import TCPServer
from typing import Any

#: Media type of the text format.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds for a scraper to send or receive something, and for all of a scrape.
_SECONDS, _ALL_SECONDS = 5, 15


class ScrapeServer:
    """Answers `GET /metrics` on a port, one request at a time, each within `seconds`.

    Raises `OSError` if it cannot listen.
    """

    def __init__(self, host: str, port: int, exposition: Callable[[], bytes], seconds: float = _ALL_SECONDS) -> None:
        class Server(TCPServer):  # `HTTPServer` looks the name of the host up, for which a broken resolver takes long
            address_family = AF_INET6 if ":" in host else AF_INET
            allow_reuse_address = True

            def handle_error(self, *_: Any) -> None:
                """Say nothing: a scraper has hung up."""

        self._server = Server((host, port), _handler(exposition, seconds))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """Port that the system has chosen."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving. Call it only after `start`."""
        self._server.shutdown()
        self._server.server_close()


def _handler(exposition: Callable[[], bytes], seconds: float) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def handle(self) -> None:
            """End a connection that sends or reads byte by byte: others wait for it."""
            end = threading.Timer(seconds, self._end)
            end.daemon = True
            end.start()
            try:
                super().handle()
            finally:
                end.cancel()

        def _end(self) -> None:
            with suppress(OSError):
                self.connection.shutdown(SHUT_RDWR)

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND, "Only /metrics is here.")
                return
            body = exposition()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def version_string(self) -> str:
            return "darkroom"

        def log_message(self, *_: Any) -> None:
            """Say nothing: scrapes are not logged."""

    return Handler
