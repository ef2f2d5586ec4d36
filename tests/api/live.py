"""API in a real server process without a worker, for tests with sockets."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.api.middleware import lingering_close
from tests.running_server import wait_for
from tests.sides import SIDES, Side


class Live:
    """Server process, and its state as seen from outside."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, log: Path, temporary: tuple[Path, ...], side: Side
    ) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.side = side
        self.temporary = temporary
        self._process = process
        self._log = log

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def log(self) -> str:
        """Return its log."""
        return self._log.read_text()

    def requests(self, **known: str) -> list[dict[str, Any]]:
        """Return the log lines of requests with these fields."""
        lines = (json.loads(line) for line in self.log().splitlines() if line.endswith("}"))
        return [line for line in lines if known.items() <= line.items() and line["name"] == "app.request"]

    def memory(self) -> int:
        """Return the peak of its resident memory, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def descriptors(self) -> list[str]:
        """Return the targets of its file descriptors."""
        targets = []
        for entry in Path(f"/proc/{self._process.pid}/fd").iterdir():
            try:
                targets.append(str(entry.readlink()))
            except OSError:  # closed meanwhile
                continue
        return targets

    def open_files(self) -> list[str]:
        """Return its open files in temporary folders, where files have no name."""
        return [target for target in self.descriptors() if target.startswith(tuple(map(str, self.temporary)))]

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()


@contextmanager
def live_on(
    name: str,
    folder: Path,
    max_upload_bytes: int,
    *,
    drain_seconds: float = lingering_close.SECONDS,
    **bounds: float,
) -> Iterator[Live]:
    """Run a server during a block, optionally with other limits than the default ones."""
    scratch = folder / "scratch"
    scratch.mkdir()
    log = folder / "server.log"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        listener.set_inheritable(True)
        port = listener.getsockname()[1]
        setup = {
            "side": name,
            "data": str(folder / "data"),
            "max_upload_bytes": max_upload_bytes,
            "drain_seconds": drain_seconds,
            "bounds": bounds,
        }
        command = [sys.executable, "-m", "tests.api.live_server", str(listener.fileno()), json.dumps(setup)]
        environment = os.environ | {"TMPDIR": str(scratch)}
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, pass_fds=[listener.fileno()], env=environment, stdout=out, stderr=out,
                cwd=Path(__file__).parents[2],
            )  # fmt: skip
    try:
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}", process), 90, log.read_text)
        with SIDES[name](folder / "data") as side:
            yield Live(process, port, log, (scratch, folder / "data" / "tmp"), side)
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        return httpx.get(f"{url}/healthz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False
