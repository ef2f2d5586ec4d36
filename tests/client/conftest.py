"""The client and the `darkroom` command on a real server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from darkroom import Client
from tests.running_server import Server, serving
from tests.samples import encoded


@dataclass
class Command:
    """The command with the url of a server in its environment."""

    url: str
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str | Path, **options: Any) -> "subprocess.Popen[str]":
        """Start it, with pipes unless `options` of Popen say otherwise."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        own = {"DARKROOM_URL": self.url, "COLUMNS": "100", **self.environment}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
        command = [sys.executable, "-m", "darkroom", *map(str, arguments)]
        return subprocess.Popen(command, env=kept | own, text=True, **pipes)

    def __call__(self, *arguments: str | Path, stdin: bytes | None = None) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        own = {"DARKROOM_URL": self.url, "COLUMNS": "100", **self.environment}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
        command = [sys.executable, "-m", "darkroom", *map(str, arguments)]
        done = subprocess.run(
            command, env=kept | own, input=stdin or b"", capture_output=True, timeout=120, check=False
        )
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without keys, with a trash."""
    with serving(tmp_path_factory.mktemp("server") / "data", DARKROOM_TRASH_DAYS="7") as running:
        yield running


@pytest.fixture
def darkroom(server: Server) -> Command:
    return Command(server.url)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of the server, which has no images."""
    with Client(server.url) as made:
        remove_all(made)
        yield made


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return `photo.jpg` in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = Path("photo.jpg")
    path.write_bytes(encoded("JPEG", 640, 480, seed=7))
    return path


def remove_all(client: Client) -> None:
    """Delete every image, also in the trash."""
    for trashed in (False, True):
        for image in client.images(trashed=trashed):
            client.delete(image.id, permanent=True)
