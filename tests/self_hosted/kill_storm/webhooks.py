"""A receiver of webhooks in a storm, and the check that it got the events of every acknowledged image."""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from standardwebhooks import Webhook

from app.domain.access.api_keys import Scope, new_key
from tests.running_server import Server, wait_for
from tests.self_hosted.kill_storm.ledger import Fate, Ledger, Outcome

ADMIN, ADMIN_ENTRY = new_key("root", [Scope.ADMIN])
#: Part of the events whose first request is refused. The first request of all is always refused.
_REFUSED = 0.05
_SECONDS = 600


class Receiver:
    """Receiver that verifies each request by the reference library, and refuses some once."""

    def __init__(self, seed: int) -> None:
        self.url = ""
        self.secret = ""
        #: Bodies of the events by id, and the requests of each.
        self.events: dict[str, dict[str, Any]] = {}
        self.requests = Counter[str]()
        self.faults: list[str] = []
        self._dice = random.Random(f"{seed} receiver")
        self._lock = threading.Lock()

    def take(self, headers: dict[str, str], body: str) -> int:
        """Return the status of the answer to a request."""
        event = Webhook(self.secret).verify(body, headers)
        event_id = headers["webhook-id"]
        with self._lock:
            self.requests[event_id] += 1
            is_first = self.requests.total() == 1
            if self.requests[event_id] == 1 and (is_first or self._dice.random() < _REFUSED):
                return 503
            if self.events.setdefault(event_id, event) != event:
                self.faults.append(f"{event_id} came with two bodies")
        return 204

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen on loopback within the block."""
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.send_response(take({name.lower(): value for name, value in self.headers.items()}, body))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def register(self, server: Server) -> None:
        """Create the endpoint, before the storm."""
        made = httpx.post(f"{server.url}/webhooks", json={"url": self.url}, headers=_HEADERS, timeout=60)
        self.secret = made.raise_for_status().json()["secret"]


def check_events(server: Server, receiver: Receiver, ledger: Ledger, outcome: Outcome) -> None:
    """Check that each event was delivered, and that each acknowledged image had its events."""
    wait_for(lambda: not list(_deliveries(server, status="pending")), _SECONDS, server.log.read_text)
    for delivery in _deliveries(server):
        if delivery["status"] != "delivered" or delivery["event_id"] not in receiver.events:
            outcome.unsent.append(f"{delivery['event_id']} of {delivery['image_id']}: {delivery['status']}")
    outcome.unsent += receiver.faults
    outcome.events, outcome.requests = len(receiver.events), receiver.requests.total()
    types: defaultdict[str, set[str]] = defaultdict(set)
    for event in receiver.events.values():
        kind = event["type"]
        types[event["data"]["id"]].add(f"{kind} permanent" if event["data"].get("permanent") else kind)
    for image_id, fate in ledger.fates.items():
        for missing in _missing(server, ledger, image_id, fate, types[image_id]):
            outcome.unsent.append(f"{image_id}, {fate}: no {missing}, only {sorted(types[image_id])}")


def _missing(server: Server, ledger: Ledger, image_id: str, fate: Fate, found: set[str]) -> Iterator[str]:
    """Yield the types of events that an image should have had and has not."""
    if "image.uploaded" not in found:
        # A ticket whose bytes the worker had not seen when it was deleted made no image.
        if fate is Fate.LIVE or image_id not in ledger.tickets:
            yield "image.uploaded"
        return
    if image_id in ledger.trashed and "image.deleted" not in found:
        yield "image.deleted for the trash"
    if fate is Fate.DELETED and "image.deleted permanent" not in found:
        yield "image.deleted"
    if fate is Fate.LIVE:
        expected = f"image.{server.client.get(f'/images/{image_id}').json()['status']}"
        if expected not in found:
            yield expected


_HEADERS = {"Authorization": f"Bearer {ADMIN}"}


def _deliveries(server: Server, **query: str) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        params: dict[str, Any] = {"limit": 200, **query} | ({"cursor": cursor} if cursor else {})
        page = server.client.get("/deliveries", params=params, headers=_HEADERS).raise_for_status().json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return
