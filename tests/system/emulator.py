"""An emulator of AWS whose functions podman runs. `make test-system` installs both; all of it ends with its block.

Functions and emulator see each other over a bridge of their own, out of which no way leads: what the functions reach
is the emulator. Nothing of this machine's own networks, firewall rules or containers is used or changed.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx
from botocore.config import Config

from tests.engines import INSTALLED, REGION
from tests.images_built.podman import IMAGES, environment, missing, podman
from tests.running_server import free_port, wait_for

PYTHON = INSTALLED / "ministack" / "bin" / "python"
ACCOUNT = "123456789012"
#: The emulator takes these for the account's root user.
ROOT_USER = ("test", "test")
_START_SECONDS = 90
_END_SECONDS = 60
#: What Lambda gives a function, as far as the emulator can say it: one measure of memory for all.
_FLAGS = "--read-only --tmpfs /tmp:rw,nosuid,nodev,size=512m --security-opt no-new-privileges -m 1769m"


def why_not() -> str | None:
    """Why the stack cannot be set up here, or None when it can."""
    return (
        None if PYTHON.exists() and missing() is None else missing() or "ministack is missing: see `make test-system`"
    )


@dataclass(frozen=True)
class Network:
    """A bridge that leads nowhere. `address` is this machine's on it."""

    name: str
    address: str
    interface: str
    pin: str

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return podman's descriptions of the containers on it by id, without the one that keeps it up."""
        ids = podman("ps", "--all", "--quiet", "--no-trunc", f"--filter=network={self.name}").stdout.split()
        found = json.loads(podman("container", "inspect", *ids, check=False).stdout) if ids else []  # some may be gone
        return {each["Id"]: each for each in found if each["Id"] != self.pin}


@dataclass(frozen=True)
class Emulator:
    """Address of the emulator, and the containers that run in it."""

    endpoint: str
    network: Network
    log: Path

    @property
    def host(self) -> str:
        return self.network.address

    def client(self, service: str, credentials: tuple[str, ...] = ROOT_USER) -> Any:
        """A client of one of its services: for the account's root user, or for who has other credentials."""
        session = boto3.session.Session(*credentials, region_name=REGION)
        signature = "s3v4" if service == "s3" else "v4"  # of other signatures the emulator checks nothing
        patience = Config(connect_timeout=60, read_timeout=150, retries={"total_max_attempts": 1})
        style = Config(signature_version=signature, s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=self.endpoint, config=patience.merge(style))

    def roots(self, function: str) -> list[int]:
        """The first process of each container in which a function runs or waits."""
        wanted = f"AWS_LAMBDA_FUNCTION_NAME={function}"
        found = self.network.containers().values()
        return [each["State"]["Pid"] for each in found if each["State"]["Running"] and wanted in each["Config"]["Env"]]


@contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """An empty account. Raises AssertionError at the end when anything of it is left."""
    socket, log, empty, home = (folder / name for name in ("podman.sock", "log", "empty", "home"))
    empty.mkdir()
    home.mkdir()
    with _network() as network, _podman_api(socket):
        port = free_port()
        endpoint = f"http://{network.address}:{port}"
        variables = {
            "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "DOCKER_HOST": f"unix://{socket}",
            "DOCKER_NETWORK": network.name, "BIND_HOST": network.address, "MINISTACK_HOST": network.address,
            "GATEWAY_PORT": str(port), "MINISTACK_REGION": REGION, "MINISTACK_ACCOUNT_ID": ACCOUNT, "AUTH": "true",
            "LAMBDA_DOCKER_FLAGS": f"-e AWS_ENDPOINT_URL={endpoint} -v {empty}:/dev/shm:ro {_FLAGS}",
        }  # fmt: skip
        with _process([str(PYTHON), "-m", "ministack"], variables, log):
            wait_for(lambda: _answers(f"{endpoint}/_ministack/health"), _START_SECONDS, log.read_text)
            yield Emulator(endpoint, network, log)


@contextmanager
def _network() -> Iterator[Network]:
    """A bridge with a container that keeps it up.

    A bridge takes the lowest address of its ports for its own: whenever a container came or went, the others would
    look for this machine where it was. So the first one's is made its own, and stays.
    """
    name = f"darkroom-{uuid4().hex[:8]}"
    address = _created(name)
    pin = ""
    try:
        sleep = json.dumps(["sleep", "infinity"])
        options = ("--detach", "--pull=never", f"--network={name}", f"--entrypoint={sleep}")
        pin = podman("run", *options, IMAGES["worker"]).stdout.strip()
        interface = json.loads(podman("network", "inspect", name).stdout)[0]["network_interface"]
        mac = Path(f"/sys/class/net/{interface}/address").read_text().strip()
        subprocess.run(["ip", "link", "set", "dev", interface, "address", mac], check=True)
        network = Network(name, address, interface, pin)
        yield network
        wait_for(lambda: not network.containers(), _END_SECONDS, lambda: f"left: {network.containers()}")
    finally:
        podman("network", "rm", "--force", "--time=0", name)  # with the containers on it
    assert name not in podman("network", "ls", "--format={{.Name}}").stdout.split()
    assert not Path(f"/sys/class/net/{interface}").exists()


def _created(name: str) -> str:
    """Make a network with unused addresses; return this machine's address in it."""
    said = ""
    for third in range(256):
        address = f"10.213.{third}.1"
        options = ("--internal", "--disable-dns", f"--subnet=10.213.{third}.0/24", f"--gateway={address}")
        made = podman("network", "create", *options, name, check=False)
        if made.returncode == 0:
            return address
        said = made.stderr
    raise AssertionError(f"no network could be made: {said}")


@contextmanager
def _podman_api(socket: Path) -> Iterator[None]:
    """podman behind a socket, as Docker's daemon would be."""
    log = socket.with_name("podman.log")
    with _process(["podman", "system", "service", "--time=0", f"unix://{socket}"], environment(), log):
        wait_for(socket.exists, _START_SECONDS, log.read_text)
        yield


@contextmanager
def _process(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """A process that ends with the block, or with this one. Raises AssertionError when it has to be killed."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield
        assert process.poll() is None, f"{command[0]} has ended by itself:\n{log.read_text()[-4000:]}"
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=60).status_code == 200
    except httpx.TransportError:
        return False
