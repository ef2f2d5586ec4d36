"""The server's image, run by podman as compose.yaml runs it."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx

from tests.images_built.podman import podman
from tests.running_server import free_port, wait_for

IMAGE = "localhost/darkroom-server:test"
#: Options that compose.yaml gives the service, as podman spells them.
CONFINED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges", "--pull=never")


class ServerContainer:
    """A container of the server's image, which listens on a free port of this machine's loopback.

    The host's network is used, because rules for published ports need rights that tests may lack.
    """

    def __init__(self, *options: str, data: str, **settings: str) -> None:
        self.name = f"darkroom-server-{uuid4().hex[:8]}"
        self.port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        environment = {"DARKROOM_HOST": "127.0.0.1", "DARKROOM_PORT": str(self.port), **settings}
        given = [f"--env={name}={value}" for name, value in environment.items()]
        self.command = ["run", "--detach", f"--name={self.name}", "--network=host", *CONFINED, data, *given, *options]

    def start(self) -> None:
        """Start the container and wait until it serves."""
        podman(*self.command, IMAGE)
        self.wait()

    def restart(self) -> None:
        """Start the container again after it has ended."""
        podman("start", self.name)
        self.wait()

    def wait(self) -> None:
        """Wait until the server answers."""
        wait_for(self._answers, 60, lambda: self.log)

    def _answers(self) -> bool:
        assert self.state["Running"], self.log
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    @property
    def log(self) -> str:
        """Everything that the container has written."""
        done = podman("logs", self.name, check=False)
        return done.stdout + done.stderr

    @property
    def state(self) -> dict[str, object]:
        """State of the container as podman tells it."""
        found: dict[str, object] = json.loads(podman("container", "inspect", self.name).stdout)[0]["State"]
        return found

    def stop(self) -> float:
        """Stop the container as `docker stop` does; return the seconds it took."""
        started = time.monotonic()
        podman("stop", "--time=30", self.name)
        return time.monotonic() - started

    def kill(self) -> None:
        """End all processes of the container at once."""
        podman("kill", self.name)
        wait_for(lambda: not self.state["Running"], 60)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container."""
        return podman("exec", self.name, *command, check=False)


@contextmanager
def server_container(*options: str, data: str, **settings: str) -> Iterator[ServerContainer]:
    """Run a container for the length of a block."""
    container = ServerContainer(*options, data=data, **settings)
    try:
        container.start()
        yield container
    finally:
        container.client.close()
        podman("rm", "--force", "--time=0", container.name, check=False)


@contextmanager
def volume() -> Iterator[str]:
    """Create a named volume and return the option that mounts it as the data folder."""
    name = f"darkroom-data-{uuid4().hex[:8]}"
    podman("volume", "create", name)
    try:
        yield f"--volume={name}:/data"
    finally:
        podman("volume", "rm", "--force", name, check=False)


def refused(*options: str, data: str, **settings: str) -> tuple[int, str]:
    """Run a container that should end by itself; return its exit code and what it wrote."""
    container = ServerContainer(*options, data=data, **settings)
    command = [argument for argument in container.command if argument != "--detach"]
    done = podman(*command, "--rm", IMAGE, check=False)
    container.client.close()
    return done.returncode, done.stderr
