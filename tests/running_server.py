"""The real server in a process of its own, as `make run` starts it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

START_SECONDS = 90
PROCESS_SECONDS = 120
#: Ports that are reserved at the same time; the oldest ones belong to servers that have ended.
MOST_RESERVED = 100

_reserved: deque[int] = deque()


class Server:
    """Darkroom on a free loopback port, on a data folder that outlives it."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.with_name(f"{data.name}.log")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
        self.environment = kept | {
            "DARKROOM_STORAGE_URL": f"file:{data}",
            "DARKROOM_DATABASE_URL": f"sqlite:{data}/darkroom.db",
            "DARKROOM_PORT": str(self.port),
            **settings,
        }
        self.prefix: list[str] = []  # a command that runs the server's
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def start(self) -> Self:
        """Start it and wait until it answers."""
        command = [*self.prefix, sys.executable, "-m", "app.main"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, cwd=Path(__file__).parents[1]
            )
        try:
            wait_for(self._answers, START_SECONDS, self.log.read_text)
        except BaseException:
            self.kill()
            raise
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; its exit code. Raises TimeoutExpired when it had to be killed."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self.process is not None and self.process.poll() is None:
            self.stop()


@contextmanager
def serving(data: Path, **settings: str) -> Iterator[Server]:
    """A server for the length of a block."""
    with Server(data, **settings) as server:
        yield server


def wait_for(condition: Callable[[], object], seconds: float, explain: Callable[[], str] = lambda: "") -> None:
    """Look until the condition holds. Raises `AssertionError` with the explanation after that many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def finished(server: Server, image_id: str, **headers: str) -> dict[str, Any]:
    """Return the record of an image once it is ready or failed."""
    found: dict[str, Any] = {}

    def is_processed() -> bool:
        answer = server.client.get(f"/images/{image_id}", params={"wait": 20}, headers=headers)
        found.update(answer.raise_for_status().json())
        return bool(found["status"] != "pending")

    wait_for(is_processed, PROCESS_SECONDS, server.log.read_text)
    return found


def processed(client: httpx.Client, record: dict[str, Any]) -> dict[str, Any]:
    """Return the record that a client has got of an image once it is ready or failed."""
    deadline = time.monotonic() + PROCESS_SECONDS
    while record["status"] == "pending":
        assert time.monotonic() < deadline, record
        record = client.get(record["links"]["self"], params={"wait": 5}).raise_for_status().json()
    return record


def free_port() -> int:
    """Return a loopback port that no other program is given."""
    return reserve_port(0)


def reserve_port(port: int) -> int:
    """Reserve this loopback port, or a free one if it is 0. Raises `OSError` if it is in use or reserved.

    On Linux a socket stays bound to it, and never listens: the system gives the port to nobody who asks for any free
    one. A server can bind it because both sockets have SO_REUSEADDR, which servers set.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))  # without the option, which would share a reserved port
        port = int(probe.getsockname()[1])
        if sys.platform == "linux":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if len(_reserved) == MOST_RESERVED:
                os.close(_reserved.popleft())
            _reserved.append(probe.detach())
    return port


def has_no_files_of_images(data: Path) -> bool:
    """Return True if the worker's scratch folder holds the folder of its spare process at most."""
    left = [path.name for path in data.joinpath("scratch").glob("*/*")]
    return len(left) <= 1 and all(name.startswith("spare-") for name in left)
