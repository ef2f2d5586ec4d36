"""Guarded clients of the servers that tests run."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from app.adapters.outbound import GuardedHttp
from app.domain.delivery.addresses import Address
from app.domain.ports.outbound import Fetched
from tests.web_server import PUBLIC, WebServer, client_context

URL = "https://img.example/a.jpg"


class Resolver:
    """Answers each look-up with the next list of addresses; the last one repeats."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[Address]:
        self.asked.append(host)
        return list(map(ip_address, self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))


def client_of(server: WebServer, resolver: Resolver | None = None, **options: Any) -> GuardedHttp:
    """Build a client for which each name has a public address, which leads to the server."""
    options = {"connect": server.connect, "context": client_context(), **options}
    return GuardedHttp("1.2.3", resolve=resolver or Resolver([str(PUBLIC)]), **options)


def fetch(client: GuardedHttp, url: str = URL, **options: Any) -> tuple[Fetched, bytes]:
    """Fetch a file of at most 1,000,000 bytes from any host. Return it with its bytes."""
    received = bytearray()
    options = {"is_host_allowed": lambda _: True, "max_bytes": 1_000_000, "seconds": 60, **options}
    return client.fetch(url, received.extend, **options), bytes(received)
