"""Processor time of the server for uploads of 5 MB, compared with bare servers that store the same form.

    .venv/bin/python -m benchmarks.upload [uploads]

Needs Linux and npm, which installs busboy into `.cache/bench` once. Each server has one core and one process, without a
worker; one client has the other core and sends each server one form in turn. The bare servers parse the form while it
arrives, hash and write the file, and sync it once. Figures are medians, and ratios are those of medians. The processor
time is that of the server's process: other load on the machine changes it less than the time of a request. The figures
go to `results/upload.json`.
"""

import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.render.peers import NODE
from benchmarks.results_file import save
from tests.samples import encoded

SIZE = 5_000_000
UPLOADS = 150
WARM_UP = 10
SERVER_CORE, CLIENT_CORE = 0, 1
BUSBOY = "busboy@1.6.0"
MUST = {"starlette": 1.30, "busboy": 1.0}

_HERE = Path(__file__).parent / "uploads"
_SCHEDULER_CLOCK = 2  # of clock_getcpuclockid(3)
_BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"  # as long as those of browsers
_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
    "Content-Type: image/jpeg\r\n\r\n"
).encode()
_END = f"\r\n--{_BOUNDARY}--\r\n".encode()
_numbers = itertools.count()


def new_form(size: int) -> bytes:
    """Return a form with a file of this size that begins like a JPEG. No two are alike."""
    start = encoded()
    image = start + next(_numbers).to_bytes(8, "big") + os.urandom(size - len(start) - 8)
    return _HEAD + image + _END


class Target:
    """A server to measure."""

    def __init__(self, name: str, port: int, pid: int) -> None:
        self.name = name
        self._pid = pid
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Send a request and return the document of the answer."""
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"} if body else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise SystemExit(f"{self.name} refused a request: {text.decode()}")
        return json.loads(text)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._connection.close()

    def processor_seconds(self) -> float:
        """Return the processor time of the process so far."""
        return time.clock_gettime((~self._pid << 3) | _SCHEDULER_CLOCK)

    def resident_megabytes(self, *, peak: bool = False) -> float:
        """Return the memory of the process now, or the most it ever had."""
        name = "VmHWM" if peak else "VmRSS"
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


@contextmanager
def running(name: str, command: Sequence[str], folder: Path) -> Iterator[Target]:
    """Run a server on the server's core."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    folder.mkdir()
    line = ["taskset", "-c", str(SERVER_CORE), *command, str(port), str(folder)]
    with (
        (folder.parent / f"{name}.log").open("wb") as log,
        subprocess.Popen(line, cwd=NODE if command[0] == "node" else None, stdout=log, stderr=log) as process,
    ):
        try:
            yield _started(Target(name, port, process.pid))
        finally:
            process.terminate()


def _started(target: Target) -> Target:
    for _ in range(300):
        try:
            target.call("GET", "/healthz")
        except OSError:
            target.close()
            time.sleep(0.1)
        else:
            return target
    raise SystemExit(f"{target.name} does not answer")


_SERVERS = (sys.executable, "-m", "benchmarks.uploads.servers")
COMMANDS = {
    "darkroom": (*_SERVERS, "darkroom"),
    "starlette": (*_SERVERS, "starlette"),
    "busboy": ("node", str(_HERE / "server.mjs")),
}


@contextmanager
def all_running(folder: Path) -> Iterator[list[Target]]:
    """Run Darkroom and the bare servers."""
    with ExitStack() as stack:
        yield [stack.enter_context(running(name, line, folder / name)) for name, line in COMMANDS.items()]


def measure(targets: Sequence[Target], uploads: int) -> list[dict[str, Any]]:
    """Upload to the servers in turn, and return one row for each: medians of their uploads."""
    spent: dict[str, list[float]] = {target.name: [] for target in targets}
    took: dict[str, list[float]] = {target.name: [] for target in targets}
    for number in range(-WARM_UP, uploads):
        for target in targets:
            form = new_form(SIZE)
            target.close()  # idle connections end on busy machines
            before, started = target.processor_seconds(), time.perf_counter()
            target.call("POST", "/upload", form)
            if number >= 0:
                took[target.name].append(time.perf_counter() - started)
                spent[target.name].append(target.processor_seconds() - before)
    ours = median(spent[targets[0].name])
    return [
        {
            "server": name,
            "processor_ms": round(median(values) * 1000, 2),
            "request_ms": round(median(took[name]) * 1000, 2),
            "ratio": round(ours / median(values), 3),
        }
        for name, values in spent.items()
    ]


def install() -> None:
    """Install busboy unless it is there."""
    NODE.mkdir(parents=True, exist_ok=True)
    if not (NODE / "node_modules" / "busboy").exists():
        command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(NODE), BUSBOY]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def main(uploads: int) -> None:
    """Measure, print, save."""
    install()
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory(dir=Path.cwd() / ".cache") as folder, all_running(Path(folder)) as targets:
        rows = measure(targets, uploads)
        for row in rows:
            print("{server:10} {processor_ms:6.2f} ms of CPU  {request_ms:6.2f} ms  ratio {ratio}".format(**row))
    load = round(os.getloadavg()[1], 1)
    node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    packages = ["starlette", "uvicorn", "h11", "python-multipart"]
    save("upload", packages, node=node, busboy=BUSBOY, load=load, uploads=uploads, rows=rows, must=MUST)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else UPLOADS)
