"""The command line's client when something is wrong: the call, the network, or whoever answers."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from app.cli import client as client_module
from app.cli.command import cli
from tests.samples import encoded

KEY = "dk_not_to_be_seen"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.jpg"
    path.write_bytes(encoded("JPEG", 90, 60, seed=60))
    return path


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_PAUSE_SECONDS", 0)


class Peer(HTTPServer):
    """A server that gives every POST the same answer."""

    status, content_type, content = 404, "text/plain", b"nothing"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answering(BaseHTTPRequestHandler):
    server: Peer

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(("127.0.0.1", 0), _Answering) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def darkroom(*arguments: str, url: str, key: str = "") -> Result:
    """The command, run in this process."""
    return CliRunner().invoke(cli, list(arguments), env={"DARKROOM_API_KEY": key, "DARKROOM_URL": url})


@pytest.mark.parametrize("wrong", ["\r\n", "\n", "é", "\x7f", "\udcff", "\nX-Other: 1"])
def test_no_key_is_shown_whatever_is_wrong_with_it(picture: Path, peer: Peer, wrong: str) -> None:
    done = darkroom("upload", str(picture), url=peer.url, key=f"{KEY}{wrong}")
    assert KEY not in done.stdout + done.stderr
    assert isinstance(done.exception, SystemExit)  # and no traceback
    if wrong.strip():
        assert done.exit_code == 2
        assert "API key" in done.stderr
    else:  # a line break at the end is no part of the key
        assert done.exit_code == 1
        assert "404 Not Found" in done.stderr
