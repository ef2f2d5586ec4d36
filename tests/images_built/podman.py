"""The images that `make images` builds, run by podman as Lambda would run them, and read without running them."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.engines import ACCESS_KEY, INSTALLED, REGION, SECRET_KEY
from tests.lambda_runtime.function import Function, wait_until_it_listens
from tests.running_server import free_port, wait_for

SETTINGS = INSTALLED.parent / "containers"
BASE = "public.ecr.aws/lambda/python:3.13"
IMAGES = {"api": "localhost/darkroom-api:test", "worker": "localhost/darkroom-worker:test"}
#: Megabytes that they get here, of which the template gives the API twice as many.
MEMORY = {"api": 512, "worker": 1769}
#: The user that Lambda's documentation shows; any will do that is not root.
USER = "993:990"

#: What Lambda takes from a function: root, rights, every place to write but /tmp.
_CONFINED = (
    "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,nosuid,nodev,size=512m,mode=1777", f"--user={USER}",
    "--cap-drop=all", "--security-opt=no-new-privileges", "--pull=never",
)  # fmt: skip


def environment() -> dict[str, str]:
    """The variables with which podman finds the settings and the storage of `make images`."""
    ours = {"CONTAINERS_CONF": SETTINGS / "containers.conf", "CONTAINERS_STORAGE_CONF": SETTINGS / "storage.conf"}
    return {**os.environ, **{name: str(file.resolve()) for name, file in ours.items()}}


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman; what it said."""
    done = subprocess.run(["podman", *arguments], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"podman {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done


def missing() -> str | None:
    """Why there are no images to test, or None when there are."""
    if os.geteuid() != 0 or not (SETTINGS / "containers.conf").exists():
        return "the images are not built: see `make images`"
    for name in (BASE, *IMAGES.values(), "localhost/darkroom-server:test"):
        try:
            known = podman("image", "exists", name, check=False).returncode == 0
        except FileNotFoundError:
            return "podman is not installed: see `make images`"
        if not known:
            return f"{name} is not built: see `make images`"
    return None


def inspect(name: str) -> dict[str, Any]:
    """Return podman's description of an image."""
    found: dict[str, Any] = json.loads(podman("image", "inspect", name).stdout)[0]
    return found


@contextmanager
def mounted(name: str) -> Iterator[Path]:
    """The files of an image."""
    folder = podman("image", "mount", name).stdout.strip()
    try:
        yield Path(folder)
    finally:
        podman("image", "unmount", name)


def in_image(name: str, script: str, environment: Mapping[str, str]) -> str:
    """Run a Python script in the image, confined like the function, without a network; return its output."""
    given = [f"--env={key}={value}" for key, value in environment.items()]
    options = ("--rm", "--network=none", "--entrypoint=python", *_CONFINED, *given)
    return podman("run", *options, IMAGES[name], "-c", script).stdout


class Container(Function):
    """A function in a container; `name` is the container's."""

    name: str

    def python(self, script: str, *arguments: str) -> str:
        """Run a Python script in the function's container, as its user; return its output."""
        return podman("exec", self.name, "python", "-c", script, *arguments).stdout

    def listens(self, port: int) -> bool:
        """Return True if something answers on that port of the container."""
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
        return podman("exec", self.name, "python", "-c", script, check=False).returncode == 0

    @property
    def processes(self) -> list[str]:
        """The command of each process that lives in the container; the emulator buries nobody."""
        lines = podman("top", self.name, "state", "args").stdout.splitlines()[1:]
        return [line[1:].strip() for line in lines if not line.startswith("Z")]

    @property
    def out_of_memory(self) -> bool:
        """Return True if the kernel has killed a process of the container for lack of memory."""
        state = json.loads(podman("container", "inspect", self.name).stdout)[0]["State"]
        return bool(state["OOMKilled"])


@contextmanager
def container(
    function: str, environment: Mapping[str, str], folder: Path, *, timeout: int = 120
) -> Iterator[Container]:
    """The function `api` or `worker` in its image, with its memory, reaching this machine's loopback.

    The emulator has another port than the image would give it, for there are several here at once.
    """
    port, api_port = free_port(), free_port()
    emulator = [
        "/usr/local/bin/aws-lambda-rie", "--log-level", "info", "--runtime-interface-emulator-address",
        f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{api_port}", "python", "-m", "awslambdaric",
    ]  # fmt: skip
    lambdas = {
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY[function]),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    options = ["--network=host", f"--entrypoint={json.dumps(emulator)}", f"--memory={MEMORY[function]}m",
               f"--memory-swap={MEMORY[function]}m"]  # fmt: skip
    options += [f"--env={name}={value}" for name, value in {**lambdas, **environment}.items()]
    with _run(function, options, inspect(IMAGES[function])["Config"]["Cmd"], folder, port) as running:
        wait_until_it_listens(running, port)
        yield running


@contextmanager
def as_it_is(function: str, environment: Mapping[str, str], folder: Path) -> Iterator[Container]:
    """The image with its own entry point and command, and a network of its own: reached by `python` alone."""
    given = [f"--env={name}={value}" for name, value in environment.items()]
    with _run(function, ["--network=none", *given], [], folder, 8080) as running:
        wait_for(lambda: running.listens(8080), 60, lambda: running.log)
        yield running


@contextmanager
def _run(function: str, options: list[str], command: list[str], folder: Path, port: int) -> Iterator[Container]:
    name = f"darkroom-{function}-{uuid4().hex[:8]}"
    empty, log = folder / "empty", folder / "log"
    empty.mkdir()
    confined = ["--rm", f"--name={name}", *_CONFINED, f"--volume={empty}:/dev/shm:ro"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["podman", "run", *confined, *options, IMAGES[function], *command],
            env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    running = Container(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", process, log)
    running.name = name
    try:
        yield running
    finally:
        podman("rm", "--force", "--time=0", name, check=False)
        process.wait(60)
