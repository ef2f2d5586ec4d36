"""`darkroom serve`: the server as `make run` starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.running_server import Server, finished, wait_for
from tests.samples import encoded
from tests.tiers import smoke

COMMAND = [sys.executable, "-m", "darkroom", "serve"]


@pytest.mark.slow
def test_it_serves_until_a_signal(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", DARKROOM_HOST="::1", DARKROOM_PORT="1")
    command = [*COMMAND, "--host", "127.0.0.1", "--port", str(server.port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=server.environment, stdout=log, stderr=log, cwd=tmp_path)

    def answers() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            return server.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, 60, (tmp_path / "log").read_text)
        answer = server.client.post("/upload", files={"file": ("a.jpg", encoded())})
        assert answer.status_code == 201
        assert finished(server, answer.json()["id"])["status"] == "ready"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        server.client.close()


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    smoke(
        [
            (["--port", "65536"], {}, "--port"),
            (["--host", "nowhere"], {}, "DARKROOM_HOST"),
            (["--host", "192.0.2.1"], {"DARKROOM_ALLOW_ANONYMOUS": "true"}, "error: cannot listen on 192.0.2.1"),
            ([], {"DARKROOM_PORT": "x"}, "DARKROOM_PORT"),
        ]
    ),
)
def test_wrong_addresses_are_named(tmp_path: Path, arguments: list[str], settings: dict[str, str], words: str) -> None:
    environment = os.environ | settings | {
        "DARKROOM_STORAGE_URL": f"file:{tmp_path}/data", "DARKROOM_DATABASE_URL": f"sqlite:{tmp_path}/data/darkroom.db"
    }  # fmt: skip
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("error: ") or "Usage" in done.stderr
    assert "Traceback" not in done.stderr
