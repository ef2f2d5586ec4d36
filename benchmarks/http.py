"""Reads per second of the server, compared with bare routes of Starlette and FastAPI that send the same bytes.

    .venv/bin/python -m benchmarks.http [rounds]

Needs `wrk` and Linux. All servers use uvicorn, h11 and uvloop in one process, on one core; `wrk` has another and keeps
8 connections busy. Rounds alternate between the servers, and each figure is the median of its rounds. The processor
time of a request is that of the server's process. Other load on the machine changes it less than the rate, so on a busy
machine only the ratio by processor time counts. The figures go to `results/http.json`.

`record` and `page` are read again and again, as an application reads them. `any record` and `any page` are different
ones each time, more than the server keeps the JSON of.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from app.adapters.sqlite import Database
from app.adapters.sqlite.images import insert
from app.api.views.example import READY
from app.domain.ids import first_id_at
from app.domain.models import Image, Visibility, utcnow
from benchmarks.results_file import save
from tests.running_server import serving

RECORDS = 10_000
LIMIT = 50
CONNECTIONS = 8
SECONDS = 4
ROUNDS = 5
SERVER_CORE, CLIENT_CORE = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")

#: Ratios of the requests per second to those of a bare FastAPI route.
MUST = {"healthz": 0.60, "record": 0.40, "page": 0.20}

SCRIPT = """
local paths = {%s}
local at = 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""


def seed(data: Path) -> list[str]:
    """Store records of images like the example of the API description. Returns their ids, newest first."""
    now = utcnow()
    database = Database(data / "darkroom.db")
    ids = []
    with database.writing() as connection:
        for at in range(RECORDS):
            moment = now - timedelta(minutes=at)
            image_id = first_id_at(moment)
            ids.append(image_id)
            variants = [{**each, "file": each["url"].rpartition("/")[2]} for each in READY["variants"]]
            own = {"id": image_id, "variants": variants, "filename": f"IMG_{at:05}.jpg", "work": {}}
            times = dict.fromkeys(("uploaded_at", "processed_at", "updated_at"), moment)
            insert(connection, Image(**{**READY, **own, **times, "placed": Visibility.PUBLIC}))
    database.close()
    return ids


def page_paths(client: httpx.Client) -> list[str]:
    """Return the paths of all pages of the list."""
    path: str | None = f"/images?limit={LIMIT}"
    paths = []
    while path:
        paths.append(path)
        following = client.get(path).links.get("next")
        path = following["url"] if following else None
    return paths


class Target:
    """A server to measure."""

    def __init__(self, name: str, url: str, pid: int) -> None:
        self.name = name
        self.url = url
        self._pid = pid

    def processor_seconds(self) -> float:
        """Return the processor time of the process so far."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def bare(kind: str, folder: Path) -> Iterator[Target]:
    """Run a bare application of this kind."""
    with httpx.Client() as client:
        port = _free_port()
        command = ["taskset", "-c", SERVER_CORE, sys.executable, "-m", "benchmarks.bare", kind, str(port), str(folder)]
        with subprocess.Popen(command) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                _wait_for(client, url)
                yield Target(kind, url, process.pid)
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(client: httpx.Client, url: str) -> None:
    for _ in range(300):
        try:
            client.get(f"{url}/healthz")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{url} does not answer")


def run(target: Target, script: Path) -> dict[str, float]:
    """Load a server, and return the requests per second and the processor time of one."""
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script)]
    before = target.processor_seconds()
    printed = subprocess.run([*command, target.url], check=True, capture_output=True, text=True).stdout
    spent = target.processor_seconds() - before
    if "Non-2xx" in printed:
        raise SystemExit(f"{target.name} refused requests:\n{printed}")
    found = re.search(r"(\d+) requests in", printed)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if found is None or rate is None:
        raise SystemExit(f"wrk printed something else:\n{printed}")
    return {"rate": float(rate[1]), "microseconds": spent / int(found[1]) * 1e6}


def measure(targets: Sequence[Target], scripts: Mapping[str, Path], rounds: int) -> list[dict[str, Any]]:
    """Measure all servers in turn, and return one row for each kind of request."""
    rows = []
    for name, script in scripts.items():
        for target in targets:
            run(target, script)  # warm up
        found: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
        for _ in range(rounds):
            for target in targets:
                found[target.name].append(run(target, script))
        middle = {
            each: {unit: median(one[unit] for one in many) for unit in ("rate", "microseconds")}
            for each, many in found.items()
        }
        own, other = middle["darkroom"], middle["fastapi"]
        ratio = own["rate"] / other["rate"]
        by_time = other["microseconds"] / own["microseconds"]
        rows.append(
            {
                "request": name,
                "requests_per_second": {each: round(values["rate"]) for each, values in middle.items()},
                "processor_microseconds": {each: round(values["microseconds"]) for each, values in middle.items()},
                "ratio": round(ratio, 2),
                "ratio_by_processor_time": round(by_time, 2),
                "must": MUST.get(name),
            }
        )
        _print(rows[-1])
    return rows


def _print(row: Mapping[str, Any]) -> None:
    rates, times = row["requests_per_second"], row["processor_microseconds"]
    shown = " ".join(f"{each}: {rates[each]:6d}/s {times[each]:6d} µs  " for each in rates)
    print(
        f"{row['request']:10} {shown} ratio {row['ratio']:.2f}, by time {row['ratio_by_processor_time']:.2f}",
        flush=True,
    )


def main() -> None:
    """Seed, measure, print, save."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data, bodies = Path(folder, "data"), Path(folder, "bodies")
        data.mkdir()
        bodies.mkdir()
        ids = seed(data)
        server = stack.enter_context(serving(data))
        assert server.process is not None
        subprocess.run(["taskset", "-a", "-c", "-p", SERVER_CORE, str(server.process.pid)], check=True, stdout=-3)
        records, pages = [f"/images/{each}" for each in ids], page_paths(server.client)
        paths = {"healthz": ["/healthz"], "record": records[:1], "page": pages[:1]}
        paths |= {"any record": records, "any page": pages}
        scripts = {name: Path(folder, f"{name}.lua".replace(" ", "_")) for name in paths}
        for name, script in scripts.items():
            script.write_text(SCRIPT % ",".join(f'"{path}"' for path in paths[name]))
        sizes = {}
        for name, key in (("health", "healthz"), ("record", "record"), ("page", "page")):
            body = server.client.get(paths[key][0]).content
            (bodies / name).write_bytes(body)
            sizes[key] = len(body)
        targets = [Target("darkroom", server.url, server.process.pid)]
        targets += [stack.enter_context(bare(kind, bodies)) for kind in ("fastapi", "starlette")]
        rows = measure(targets, scripts, rounds)
    save("http", ["fastapi", "starlette", "uvicorn", "h11", "uvloop"], records=RECORDS, bytes=sizes, rows=rows)


if __name__ == "__main__":
    main()
