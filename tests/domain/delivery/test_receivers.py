"""Attempts at receivers that behave badly: the sender with the guarded client, over TLS."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.outbound import GuardedHttp
from app.adapters.sqlite import Database, SqliteDeliveries, SqliteEndpoints
from app.domain.delivery.deliveries import Attempt, Delivery, DeliveryStatus, build_delivery
from app.domain.delivery.events import build_test_event
from app.domain.delivery.sending import Sender
from app.domain.models import utcnow
from tests.adapters.outbound.clients import Resolver, client_of
from tests.domain.delivery.receivers import SECRETS, an_endpoint, verified
from tests.web_server import Reply, WebServer, answer, web_server

pytestmark = pytest.mark.slow

Send = Callable[[GuardedHttp], Delivery]
LARGE = 20 * 1024 * 1024


@pytest.fixture
def send(tmp_path: Path) -> Iterator[Send]:
    """Make one attempt of a new delivery with a client. Return the delivery after it."""
    with closing(Database(tmp_path / "darkroom.db")) as database:
        store, endpoints = SqliteDeliveries(database), SqliteEndpoints(database)

        def attempt(http: GuardedHttp) -> Delivery:
            endpoint = an_endpoint(url="https://img.example/hook")
            endpoints.create(endpoint)
            event = build_test_event("ann", utcnow())
            delivery = build_delivery(event, endpoint.id)
            store.add(event, [delivery])
            Sender(store, endpoints, SECRETS, http, chance=lambda: 0).handle(delivery.id)
            found = store.get(delivery.id)
            assert found is not None
            return found

        yield attempt


def reset(connection: socket.socket) -> None:
    """Reset the connection instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def end_after(part: bytes) -> Reply:
    """Close the connection after a part of an answer."""
    return lambda connection: connection.sendall(part)


def hang(connection: socket.socket) -> None:
    """Answer nothing until the client hangs up."""
    connection.recv(1)


@pytest.mark.parametrize(
    ("reply", "attempt", "status"),
    [
        (answer("204 No Content"), (204, None), DeliveryStatus.DELIVERED),
        (answer(body=bytes(LARGE)), (200, None), DeliveryStatus.DELIVERED),
        (answer("500 Internal Server Error", body=bytes(LARGE)), (500, None), DeliveryStatus.PENDING),
        (end_after(b"HTTP/1.1 200 OK\r\nContent-Length: 20971520\r\n\r\nx"), (200, None), DeliveryStatus.DELIVERED),
        (reset, (None, "connection"), DeliveryStatus.PENDING),
        (hang, (None, "timeout"), DeliveryStatus.PENDING),
        (answer("302 Found", Location="https://img.example/other"), (302, None), DeliveryStatus.PENDING),
        (answer("410 Gone"), (410, None), DeliveryStatus.DROPPED),
        (answer("429 Too Many Requests", Retry_After="60"), (429, None), DeliveryStatus.PENDING),
        (lambda connection: connection.sendall(b"SSH-2.0-x\r\n"), (None, "protocol"), DeliveryStatus.PENDING),
    ],
    ids=["204", "20 MB", "500 of 20 MB", "end in the body", "reset", "hang", "302", "410", "429",
         "no HTTP"],
)  # fmt: skip
def test_an_attempt_ends_whatever_the_receiver_does(
    send: Send, reply: Reply, attempt: tuple[int | None, str | None], status: DeliveryStatus
) -> None:
    with web_server(reply) as server:
        found = send(client_of(server))
    (made,) = found.attempts
    assert (made.status, made.error) == attempt
    assert found.status is status
    assert len(server.requests) == 1  # no redirect is followed
    if status is DeliveryStatus.PENDING:
        assert found.next_attempt_at is not None
        assert found.next_attempt_at > made.at
        assert found.leased_until is None


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["64:ff9b::a9fe:a9fe"]])
def test_a_name_that_leads_into_a_private_network_gets_nothing(send: Send, addresses: list[str]) -> None:
    with web_server(answer("204 No Content")) as server:
        found = send(client_of(server, Resolver(addresses)))
    assert [(each.status, each.error) for each in found.attempts] == [(None, "refused")]
    assert found.status is DeliveryStatus.PENDING
    assert not server.requests


def test_the_reference_library_verifies_a_request(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "darkroom.db")) as database, web_server(answer("204 No Content")) as server:
        store, endpoints = SqliteDeliveries(database), SqliteEndpoints(database)
        endpoint = an_endpoint(url="https://img.example/hook")
        endpoints.create(endpoint)
        event = build_test_event("ann", utcnow())
        delivery = build_delivery(event, endpoint.id)
        store.add(event, [delivery])
        told: list[Attempt] = []
        Sender(store, endpoints, SECRETS, client_of(server), on_attempt=told.append).handle(delivery.id)
    headers, body = read(server)
    assert verified(endpoint, headers, body)["type"] == "webhook.test"
    assert headers["webhook-id"] == event.id
    assert [each.status for each in told] == [204]


def read(server: WebServer) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the only request."""
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    return {name.lower(): value for name, _, value in lines}, body
