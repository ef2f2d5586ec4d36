"""Real engines for the AWS side: Amazon's DynamoDB Local and SeaweedFS, in processes of their own.

`make engines` installs them into `.cache/engines`. Each is started once a test session, on free loopback ports, and
ends with it.
"""

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

from tests.running_server import free_port, reserve_port

INSTALLED = Path(__file__).parents[1] / ".cache" / "engines"
REGION = "eu-west-1"
ACCESS_KEY = "AKIDLOCAL1"  # DynamoDB Local takes letters and digits alone
SECRET_KEY = "secretsecret"
_START_SECONDS = 90


def missing() -> str | None:
    """Why the engines cannot run here, or None when they can."""
    if not shutil.which("java"):
        return "DynamoDB Local needs java: see `make engines`"
    if not _jar() or not _weed().exists():
        return "DynamoDB Local and SeaweedFS are not installed: see `make engines`"
    return None


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """DynamoDB Local in memory; its endpoint."""
    jar = _jar()
    assert jar
    port = free_port()
    command = [
        "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
        f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}", "-jar", str(jar),
        "-inMemory", "-disableTelemetry", "-port", str(port),
    ]  # fmt: skip
    with _running(command, f"http://127.0.0.1:{port}") as endpoint:
        yield endpoint


@contextmanager
def seaweedfs() -> Iterator[str]:
    """SeaweedFS with its S3 side; its endpoint."""
    with tempfile.TemporaryDirectory(prefix="weed-") as folder:
        config = Path(folder, "s3.json")
        credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        config.write_text(
            json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": actions}]})
        )
        data = Path(folder, "data")
        data.mkdir()
        master, volume, filer, s3 = _seaweedfs_ports()
        command = [
            str(_weed()), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            "-master.volumeSizeLimitMB=64", f"-master.port={master}", f"-volume.port={volume}", "-volume.max=40",
            "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}", f"-s3.config={config}",
            "-s3.port.iceberg=0", "-s3.port.lance=0",  # two of them may run at once
        ]  # fmt: skip
        try:
            with _running(command, f"http://127.0.0.1:{s3}", WEED_S3_SSE_KEK="5a" * 32) as endpoint:
                # The volumes come last.
                _await(lambda: b'"fid"' in (_answer(f"http://127.0.0.1:{master}/dir/assign") or b""))
                yield endpoint
        finally:
            for port in (master, volume, filer, s3):
                for bound in (port, port + 10_000):
                    for left in Path("/tmp").glob(f"seaweedfs-*-{bound}.sock"):  # SeaweedFS does not ask where
                        left.unlink()


def _seaweedfs_ports() -> list[int]:
    """Four reserved ports. SeaweedFS opens a gRPC port 10,000 above each, and some of them late: all are below those
    that the system hands out for connections meanwhile."""
    found: list[int] = []
    while len(found) < 4:
        port = random.SystemRandom().randrange(10_000, 22_000)
        with suppress(OSError):
            reserve_port(port + 10_000)
            found.append(reserve_port(port))
    return found


@contextmanager
def _running(command: list[str], endpoint: str, **environment: str) -> Iterator[str]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
        try:
            _await(lambda: process.poll() is not None or _answer(endpoint) is not None)
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"{command[0]} did not start:\n{log.read()[-4000:].decode()}")
            yield endpoint
        finally:
            process.terminate()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("an engine did not start")
        time.sleep(0.1)


def _answer(url: str) -> bytes | None:
    """Return the body of an answer of any status; None if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.read()
    except (OSError, HTTPException):
        return None


def _jar() -> Path | None:
    return next(INSTALLED.glob("package/lib/*/DynamoDBLocal.jar"), None)


def _weed() -> Path:
    return INSTALLED / "weed" / "bin" / "weed"
