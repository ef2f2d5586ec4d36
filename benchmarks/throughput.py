"""Images a second of a backlog with one worker and with two, and how fast the server answers meanwhile.

    .venv/bin/python -m benchmarks.throughput [rounds] [images]

Each round uploads photographs of 12 megapixels while the worker is stopped, lets it go on, and reads a record 50 times
a second until the last image is ready. The numbers of workers take turns, each with a fresh data folder. Medians go to
`results/throughput.json`.
"""

import os
import re
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.render import images
from benchmarks.results_file import save
from tests.running_server import Server, serving, wait_for
from tests.self_hosted.kill_storm.faults import descendants

ROUNDS, IMAGES = 3, 60
WORKERS = (1, 2)
READS_A_SECOND = 50
_LONGEST = timedelta(minutes=20)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@contextmanager
def stopped_worker(server: Server) -> Iterator[None]:
    """Stop the worker process of a server meanwhile, at a time when it is not writing to the database."""
    assert server.process is not None
    pid = server.process.pid
    wait_for(lambda: '"reconciled"' in server.log.read_text(), 120, server.log.read_text)
    (worker,) = descendants(pid)["worker"]
    with closing(sqlite3.connect(server.data / "darkroom.db", timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        os.kill(worker, signal.SIGSTOP)
        database.execute("ROLLBACK")
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


class Client:
    """A connection that costs little processor time, because the worker needs it: a tenth of that of `http.client`."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)

    def get(self, path: str) -> bytes:
        """Return the body of an answer, which has a length."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        received = self._receive()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        length = _LENGTH.search(received, 0, end)
        if not received.startswith(b"HTTP/1.1 200 ") or length is None:
            raise SystemExit(f"{path}: {received.decode()}")
        while len(received) < end + 4 + int(length[1]):
            received += self._receive()
        return received[end + 4 :]

    def _receive(self) -> bytes:
        piece = self._socket.recv(1 << 16)
        if not piece:
            raise SystemExit("the server has closed the connection")
        return piece

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Reader(threading.Thread):
    """Reads one record 50 times a second. `times` are the milliseconds from when a read was due to its answer."""

    def __init__(self, server: Server, path: str) -> None:
        super().__init__()
        self.times: list[float] = []
        self._client = Client(server)
        self._path = path
        self._end = threading.Event()

    def run(self) -> None:
        """Read until `finish`."""
        due = time.perf_counter()
        while not self._end.is_set():
            self._client.get(self._path)
            self.times.append(1000 * (time.perf_counter() - due))
            due += 1 / READS_A_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))

    def finish(self) -> None:
        """End after the current read."""
        self._end.set()
        self.join()
        self._client.close()


def last_processed(server: Server) -> datetime:
    """Return the time when the last image became ready."""
    with closing(sqlite3.connect(server.data / "darkroom.db", timeout=60)) as database:
        (found,) = database.execute("SELECT max(json_extract(document, '$.processed_at')) FROM images").fetchone()
    return datetime.fromisoformat(found)


def drain(server: Server, photograph: Path, count: int) -> dict[str, float]:
    """Upload the backlog, and measure while it is processed."""
    body = photograph.read_bytes()
    with stopped_worker(server):
        for _ in range(count):
            answer = server.client.post(
                "/upload", params={"on_duplicate": "create"}, files={"file": ("p.jpg", body, "image/jpeg")}
            )
            image_id = answer.raise_for_status().json()["id"]
        reader = Reader(server, f"/images/{image_id}")
        start = datetime.now(UTC)
    reader.start()
    while server.client.get("/images", params={"status": "pending", "limit": 1}).json()["items"]:
        if datetime.now(UTC) - start > _LONGEST:
            raise SystemExit("the backlog is not processed")
        time.sleep(1)
    seconds = (last_processed(server) - start).total_seconds()
    reader.finish()
    failed = server.client.get("/images", params={"status": "failed", "limit": 1}).json()["items"]
    if failed:
        raise SystemExit(f"an image failed: {failed[0]['error']}")
    cuts = quantiles(reader.times, n=100)
    return {
        "images_a_second": round(count / seconds, 2),
        "seconds": round(seconds, 1),
        "read_p50_ms": round(cuts[49], 1),
        "read_p99_ms": round(cuts[98], 1),
    }


def main() -> None:
    """Measure, save, print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    count = int(sys.argv[2]) if len(sys.argv) > 2 else IMAGES
    images.make()
    photograph = images.FOLDER / "phone.jpg"
    taken: dict[int, list[dict[str, float]]] = {workers: [] for workers in WORKERS}
    for _ in range(rounds):
        for workers, figures in taken.items():
            with (
                tempfile.TemporaryDirectory() as folder,
                serving(Path(folder, "data"), DARKROOM_WORKERS=str(workers)) as server,
            ):
                figures.append(drain(server, photograph, count))
                print(workers, figures[-1], flush=True)
    rows: list[dict[str, Any]] = [
        {"workers": workers, **{name: median(each[name] for each in figures) for name in figures[0]}}
        for workers, figures in taken.items()
    ]
    one, two = (row["images_a_second"] for row in rows)
    for row in rows:
        print(row)
    print(f"two workers against one: {two / one:.2f}")
    path = save(
        "throughput",
        ("pillow",),
        rounds=rounds,
        images=count,
        reads_a_second=READS_A_SECOND,
        load_average=os.getloadavg()[1],
        ratio=round(two / one, 2),
        rows=rows,
    )
    print(path)


if __name__ == "__main__":
    main()
