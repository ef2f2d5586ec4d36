"""Webhooks of a running server, and of one that was killed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.adapters.sqlite import Database, SqliteEndpoints
from app.domain.delivery.endpoints import WebhookEndpoint
from tests.domain.delivery.receivers import an_endpoint, verified
from tests.running_server import Server, serving, wait_for
from tests.samples import encoded

pytestmark = pytest.mark.slow


class LocalReceiver:
    """Receiver on loopback. The first request fails, or the first `failures`, or with `each` the first one of each
    event; `bodies` holds the others by event id."""

    failures = 1
    each = False

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.requests = 0
        self.seen: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests += 1
                event_id = self.headers["webhook-id"]
                accepted = event_id in receiver.seen if receiver.each else receiver.requests > receiver.failures
                receiver.seen.add(event_id)
                if accepted:
                    receiver.headers[event_id] = {k.lower(): v for k, v in self.headers.items()}
                    receiver.bodies[event_id] = body
                self.send_response(204 if accepted else 500)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def types(self, image_id: str) -> set[str]:
        events = (json.loads(body) for body in [*self.bodies.values()])
        return {event["type"] for event in events if event["data"]["id"] == image_id}


@pytest.fixture
def receiver() -> Iterator[LocalReceiver]:
    receiver = LocalReceiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def add_endpoint(data: Path, url: str) -> WebhookEndpoint:
    endpoint = an_endpoint(url=url)
    database = Database(data / "darkroom.db")
    SqliteEndpoints(database).create(endpoint)
    database.close()
    return endpoint


SETTINGS = {"DARKROOM_SECRET": "a secret of the tests", "DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true"}


def upload(server: Server, seed: int) -> str:
    answer = server.client.post("/upload", files={"file": ("a.jpg", encoded(seed=seed))})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_an_upload_is_delivered_to_a_receiver_that_fails_twice_first(tmp_path: Path, receiver: LocalReceiver) -> None:
    receiver.each = True  # the third attempt of one event would come minutes later
    with serving(tmp_path / "data", **SETTINGS) as server:
        endpoint = add_endpoint(server.data, receiver.url)
        image_id = upload(server, 1)
        both = {"image.uploaded", "image.ready"}
        wait_for(lambda: receiver.types(image_id) == both, 120, server.log.read_text)
    bodies = [verified(endpoint, receiver.headers[each], body) for each, body in receiver.bodies.items()]
    ready = next(body for body in bodies if body["type"] == "image.ready")
    assert ready["data"]["status"] == "ready"
    assert ready["data"]["variants"]


def test_no_event_is_lost_when_the_server_is_killed(tmp_path: Path, receiver: LocalReceiver) -> None:
    ids: list[str] = []
    server = Server(tmp_path / "data", **SETTINGS).start()
    try:
        add_endpoint(server.data, receiver.url)
        for restart in range(4):
            if restart:
                server.start()
            ids += [upload(server, 10 * restart + number) for number in range(6)]
            server.kill()  # while images are processed and webhooks are sent
        server.start()
        both = {"image.uploaded", "image.ready"}
        wait_for(lambda: all(receiver.types(each) == both for each in ids), 300, server.log.read_text)
    finally:
        server.client.close()
        server.stop()
