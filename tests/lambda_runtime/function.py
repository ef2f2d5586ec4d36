"""A function as AWS runs it: an environment from its own lock, the runtime client, the Runtime Interface Emulator.

`make engines` installs what this needs. One emulator serves one request at a time, as one environment on AWS does.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engines import ACCESS_KEY, INSTALLED, REGION, SECRET_KEY
from tests.repository.tree import ROOT
from tests.running_server import free_port

EMULATOR = INSTALLED / "aws-lambda-rie"
_START_SECONDS = 90
#: Functions that run in the image of another one.
_PACKAGES = {"render": "worker"}

# A bind mount that cannot be written in the place of /dev/shm, seen by the function alone: Lambda has none to write to.
_WITHOUT_SHM = """
mount --bind "$1" /dev/shm && mount -o remount,bind,ro /dev/shm || exit 71
shift
exec "$@"
"""


class Function:
    """A function that runs. `log` is all that it and the emulator have said."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._url = url
        self._log = log
        self._lock = threading.Lock()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def init_ms(self) -> float:
        """Milliseconds that the last start took before its first request, as the emulator measured them."""
        return float(re.findall(r"INIT REPORT\(durationMs: ([\d.]+)\)", self.log)[-1])

    def invoke(self, event: Any, seconds: float = 180) -> Any:
        """Send one event; the function's answer, or the text of one that is no JSON. One call at a time."""
        request = urllib.request.Request(self._url, json.dumps(event).encode(), method="POST")
        with self._lock, urllib.request.urlopen(request, timeout=seconds) as response:
            text = response.read().decode()
        try:
            return json.loads(text)
        except ValueError:
            return text

    def invoke_in_time(self, event: Any) -> Any:
        """Send one event until the function's time suffices, as the queue does: a start can take most of it."""
        deadline = time.monotonic() + 180
        while True:
            answer = self.invoke(event)
            if "Task timed out" not in str(answer) or time.monotonic() > deadline:
                return answer


def can_hide_shm() -> bool:
    """Return True if a process may have mounts of its own."""
    return (
        os.geteuid() == 0
        and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    )


@contextmanager
def function(
    name: str, environment: Mapping[str, str], folder: Path, *, timeout: int = 120, hide_shm: bool = False
) -> Iterator[Function]:
    """The function `api`, `worker` or `render`, with only its lock's packages and this application."""
    task, temporary, empty = folder / "task", folder / "tmp", folder / "empty"
    for made in (temporary, empty):
        made.mkdir()
    shutil.copytree(ROOT / "app", task / "app", ignore=shutil.ignore_patterns("__pycache__"))
    port, api_port = free_port(), free_port()
    command = [
        str(EMULATOR), "--log-level", "info",
        "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{api_port}",
        str(INSTALLED / _PACKAGES.get(name, name) / "bin" / "python"), "-m", "awslambdaric",
        f"app.lambda_{name}.handler",
    ]  # fmt: skip
    if hide_shm:
        command = ["unshare", "-m", "sh", "-c", _WITHOUT_SHM, "sh", str(empty), *command]
    lambdas = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=task, env={**lambdas, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    running = Function(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", process, log)
    try:
        wait_until_it_listens(running, port)
        yield running
    finally:
        process.terminate()  # the emulator ends the runtime that it has started
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_it_listens(running: Function, port: int) -> None:
    """Return when the emulator accepts connections. Raises RuntimeError with its output if it does not."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if running.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the emulator did not start:\n{running.log[-4000:]}")
        time.sleep(0.05)
