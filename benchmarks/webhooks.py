"""Webhooks of 10,000 events to a receiver that is down for half of them, and uploads during a backlog of deliveries.

    .venv/bin/python -m benchmarks.webhooks [events] [uploads]

A server as `make run` starts it, and a receiver on loopback in another process. The title of one image is changed until
there are as many events; for the first half the receiver's port is closed. Then the receiver runs, and every event must
have arrived: at least once, and with the id that it was stored with. The schedule is as it is in production, so an
event that failed twice waits for five minutes; once the receiver is back, its deliveries are all due.

Then uploads are timed one by one: without a backlog, and while deliveries drain, in alternating turns of one run.
Figures are printed, and go to `results/webhooks.json`.
"""

import itertools
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Any

from standardwebhooks import Webhook

from app.domain.access.api_keys import Scope, new_key
from benchmarks.results_file import save
from tests.running_server import Server, free_port, serving
from tests.samples import encoded

EVENTS, UPLOADS = 10_000, 200
TURNS = 4
KEY, ENTRY = new_key("root", [Scope.ADMIN])
SETTINGS = {
    "DARKROOM_AUTH": "required",
    "DARKROOM_API_KEYS": str(ENTRY),
    "DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true",
}
#: Longest time for all deliveries to arrive.
_LONGEST = 900
_POLL_SECONDS = 0.5


def receive(port: int, secret: str, pipe: Connection) -> None:
    """Receive events in a process of its own. Answer each message on the pipe with the counts by id; end at None."""
    counts: Counter[str] = Counter()
    webhook = Webhook(secret)

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            webhook.verify(body, dict(self.headers))
            counts[self.headers["webhook-id"]] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    class Listener(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    with Listener(("127.0.0.1", port), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while pipe.recv():
            pipe.send(dict(counts))


@contextmanager
def receiver(port: int, secret: str) -> Iterator[Connection]:
    """Run the receiver."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(port, secret, theirs), daemon=True)
    process.start()
    try:
        _wait_for(lambda: _listens(port), "the receiver does not start")
        yield ours
    finally:
        ours.send(None)
        process.join(30)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition: Any, explanation: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(explanation)
        time.sleep(_POLL_SECONDS)


def counts(server: Server) -> Counter[str]:
    """Return the number of deliveries by status, from `/metrics`."""
    text = server.client.get("/metrics").text
    found = Counter[str]()
    for line in text.splitlines():
        if line.startswith("darkroom_webhook_deliveries{"):
            name, _, value = line.partition("} ")
            found[name.partition('status="')[2].rstrip('"')] = int(float(value))
    return found


def change(server: Server, image: str, number: int) -> None:
    """Change an image so that each change is an event."""
    for turn in range(number):
        server.client.patch(f"/images/{image}", json={"title": f"{turn} {time.time()}"}).raise_for_status()


def stored_ids(server: Server, endpoint: str) -> set[str]:
    """Return the ids of all events of an endpoint, as the service lists them."""
    found: set[str] = set()
    cursor = None
    while True:
        query: dict[str, Any] = {"endpoint": endpoint, "limit": 200} | ({"cursor": cursor} if cursor else {})
        page = server.client.get("/deliveries", params=query).json()
        found |= {item["event_id"] for item in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def create(server: Server, port: int) -> dict[str, Any]:
    """Create the endpoint."""
    body = {"url": f"http://127.0.0.1:{port}/hook", "events": ["image.updated"]}
    made: dict[str, Any] = server.client.post("/webhooks", json=body).raise_for_status().json()
    return made


def upload(server: Server, seed: int) -> tuple[str, float]:
    """Upload an image. Return its id and the seconds until the answer."""
    body = encoded("JPEG", 640, 480, seed=seed)
    begun = time.perf_counter()
    answer = server.client.post("/upload?on_duplicate=create", files={"file": ("a.jpg", body)})
    seconds = time.perf_counter() - begun
    return str(answer.raise_for_status().json()["id"]), seconds


def measure_outage(server: Server, events: int) -> dict[str, Any]:
    """Make events while the receiver is down and while it is up. Return what arrived, and how fast."""
    port = free_port()
    endpoint = create(server, port)
    image, _ = upload(server, 1)
    server.client.get(f"/images/{image}?wait=20")
    begun = time.perf_counter()
    change(server, image, events // 2)
    down = time.perf_counter() - begun
    expected = counts(server)["pending"]
    with receiver(port, endpoint["secret"]) as pipe:
        # The sender tries the endpoint again within a minute.
        back = time.perf_counter()
        change(server, image, events - events // 2)
        _wait_for(lambda: not counts(server)["pending"], "deliveries do not arrive", _LONGEST)
        seconds = time.perf_counter() - back
        pipe.send("counts")
        received: dict[str, int] = pipe.recv()
    ids = stored_ids(server, endpoint["id"])
    server.client.delete(f"/webhooks/{endpoint['id']}")
    return {
        "events": len(ids),
        "made_while_down": expected,
        "seconds_down": round(down, 1),
        "seconds_until_all_arrived": round(seconds, 1),
        "events_per_second": round(len(ids) / seconds),
        "requests_received": sum(received.values()),
        "duplicates": sum(received.values()) - len(received),
        "lost": len(ids - received.keys()),
        "unknown_ids": len(received.keys() - ids),
        "statuses": dict(+counts(server)),
    }


def measure_uploads(server: Server, uploads: int) -> dict[str, Any]:
    """Time uploads without and with a backlog that drains, in turns."""
    times: dict[str, list[float]] = {"without": [], "during": []}
    backlog_left: list[int] = []
    port = free_port()
    image, _ = upload(server, 2)
    server.client.get(f"/images/{image}?wait=20")
    seeds = itertools.count(1000)

    def time_uploads() -> list[float]:
        return [upload(server, next(seeds))[1] for _ in range(uploads // TURNS)]

    for _ in range(TURNS):
        for name in times:
            endpoint = create(server, port)
            if name == "during":
                change(server, image, uploads * 6)
                with receiver(port, endpoint["secret"]):
                    server.client.patch(f"/webhooks/{endpoint['id']}", json={"enabled": True}).raise_for_status()
                    times[name] += time_uploads()
                    backlog_left.append(counts(server)["pending"])
                    _wait_for(lambda: not counts(server)["pending"], "deliveries do not arrive", _LONGEST)
            else:
                times[name] += time_uploads()
            server.client.delete(f"/webhooks/{endpoint['id']}")
            _wait_for(lambda: not server.client.get("/stats").json()["pending"], "images are not processed", _LONGEST)
    found: dict[str, Any] = {"uploads_each": len(times["without"]), "backlog_left": backlog_left}
    for point in (50, 99):
        by_name = {name: 1000 * quantiles(each, n=100)[point - 1] for name, each in times.items()}
        found |= {f"p{point}_ms_{name}": round(value, 1) for name, value in by_name.items()}
        found[f"p{point}_ratio"] = round(by_name["during"] / by_name["without"], 2)
    return found


def main() -> None:
    """Measure, save, print. End with 1 if an event was lost."""
    events, uploads = (int(each) for each in (*sys.argv[1:], *(str(EVENTS), str(UPLOADS))[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder, "data"), **SETTINGS) as server:
        server.client.headers["Authorization"] = f"Bearer {KEY}"
        outage = measure_outage(server, events)
        print(json.dumps(outage, indent=1), flush=True)
        beside = measure_uploads(server, uploads)
        print(json.dumps(beside, indent=1), flush=True)
    load = round(os.getloadavg()[1], 2)
    print(save("webhooks", ("standardwebhooks", "httpx"), load_average=load, outage=outage, uploads=beside))
    if outage["lost"] or outage["unknown_ids"]:
        raise SystemExit("events were lost, or came with other ids")


if __name__ == "__main__":
    main()
