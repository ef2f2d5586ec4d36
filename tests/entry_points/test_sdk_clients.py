"""SDK clients as the entry points configure them: short time-outs and few attempts."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from botocore.session import Session

from app.bootstrap import Backends, open_backends
from app.domain.errors import Unavailable
from app.settings import load
from tests.entry_points.test_starting import GOOD
from tests.faults.conftest import hurried

__all__ = ["hurried"]

pytestmark = pytest.mark.usefixtures("hurried")

CALLS: dict[str, Callable[[Backends], object]] = {
    "S3": lambda backends: backends.store.stat("originals/a"),
    "DYNAMODB": lambda backends: backends.images.get("a"),
    "SQS": lambda backends: backends.queue.send("a"),
}
#: Much longer than an answer is waited for, because the machine may be busy.
SECONDS = 300


class Hole:
    """Takes every connection and answers nothing; `hangs_up` ends each at once. `times` is when they came."""

    def __init__(self, listener: socket.socket, *, hangs_up: bool) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.times: list[float] = []
        self._listener = listener
        self._hangs_up = hangs_up
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed: nobody is to connect any more
            while True:
                connection, _ = self._listener.accept()
                self.times.append(time.monotonic())
                if self._hangs_up:
                    connection.close()
                else:
                    self._held.append(connection)

    def end(self) -> None:
        """Refuse what comes from now on, and end what was held."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)
        for connection in self._held:
            connection.close()


@contextmanager
def holes(monkeypatch: pytest.MonkeyPatch, *, hangs_up: bool) -> Iterator[tuple[Backends, dict[str, Hole]]]:
    """The backends of a function, each behind a hole of its own."""
    with ExitStack() as stack:
        made = {}
        for name in CALLS:
            made[name] = Hole(socket.create_server(("127.0.0.1", 0)), hangs_up=hangs_up)
            stack.callback(made[name].end)
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", made[name].url)
        for name, value in GOOD.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DARKROOM_QUEUE_URL", f"{made['SQS'].url}/1/q")
        yield open_backends(load()), made


def test_clients_wait_a_fraction_of_the_time_that_a_gateway_does(monkeypatch: pytest.MonkeyPatch) -> None:
    clients: dict[str, Any] = {}
    create = Session.create_client

    def remember(session: Session, service_name: str, **options: Any) -> Any:
        return clients.setdefault(service_name, create(session, service_name, **options))

    monkeypatch.setattr(Session, "create_client", remember)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    open_backends(load())
    assert clients.keys() >= {name.lower() for name in CALLS}
    for name, client in clients.items():
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (2, 5), name
        assert (config.retries["mode"], config.retries["total_max_attempts"]) == ("standard", 4), name


@pytest.mark.slow
def test_a_service_that_says_nothing_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: dict[str, Exception] = {}

    def ask(name: str, backends: Backends) -> None:
        try:
            CALLS[name](backends)
        except Exception as error:  # noqa: BLE001 - the test looks at any error
            ends[name] = error

    with holes(monkeypatch, hangs_up=False) as (backends, made):
        threads = [threading.Thread(target=ask, args=(name, backends), daemon=True) for name in CALLS]
        for thread in threads:
            thread.start()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and any(len(made[name].times) < 2 for name in CALLS.keys() - ends.keys()):
            time.sleep(0.05)
        waits = {name: hole.times[1] - hole.times[0] for name, hole in made.items() if len(hole.times) > 1}
        for hole in made.values():
            hole.end()
        for thread in threads:
            thread.join(SECONDS)
    assert waits.keys() == CALLS.keys(), f"the others were still waiting, or ended: {ends}"
    assert all(wait > 2 for wait in waits.values()), waits
    assert {name: type(error) for name, error in ends.items()} == dict.fromkeys(CALLS, Unavailable)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.slow
def test_a_service_that_hangs_up_is_asked_four_times(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with holes(monkeypatch, hangs_up=True) as (backends, made):
        with pytest.raises(Unavailable):
            CALLS[name](backends)
        assert {each: len(hole.times) for each, hole in made.items()} == dict.fromkeys(CALLS, 0) | {name: 4}


@pytest.mark.slow
def test_a_service_that_takes_no_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's queue of connections is full: the next one is neither accepted nor refused."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        for name, value in GOOD.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{full.getsockname()[1]}")
        with pytest.raises(Unavailable):
            CALLS["S3"](open_backends(load()))
