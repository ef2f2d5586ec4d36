"""Socket of the worker: the adapter's calls, malformed requests, callers that hang up, and its file."""

import socket
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.adapters.render_socket import SocketRenderer
from app.domain.errors import Full, Missing, NotRenderable, RendererBusy, Unavailable
from app.domain.models import Format
from app.domain.ports import RenderedSize
from app.domain.ports.render_messages import MAX_MESSAGE
from app.domain.recipe import Fit
from app.domain.sizes.operation import Operation
from app.worker.on_demand.server import RenderServer
from tests.running_server import wait_for

OPERATION = Operation(640, 360, Fit.COVER, Format.WEBP, 75)
SIZE = RenderedSize("ondemand/x/w640-h360-cover-q75.webp", "image/webp", 1234, '"tag"')


class Renderer:
    """Returns `SIZE`, or raises `error`. With a closed gate it waits; `asked` has the requests."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[tuple[str, Operation]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.give_ups: list[Callable[[], bool]] = []

    def find_owner(self, image_id: str) -> str:
        if image_id == "unknown":
            raise Missing(image_id)
        return "ann"

    def render(self, image_id: str, operation: Operation, give_up: Callable[[], bool]) -> RenderedSize:
        self.asked.append((image_id, operation))
        self.give_ups.append(give_up)
        assert self.gate.wait(60)
        if self.error:
            raise self.error
        return SIZE


@pytest.fixture
def renderer() -> Renderer:
    return Renderer()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sizes.sock"


@pytest.fixture
def server(renderer: Renderer, path: Path) -> Iterator[RenderServer]:
    made = RenderServer(path, renderer, at_once=2)
    assert made.start()
    yield made
    renderer.gate.set()
    made.stop()


@pytest.mark.usefixtures("server")
def test_a_size_is_rendered_for_the_adapter(renderer: Renderer, path: Path) -> None:
    assert SocketRenderer(path).render("x", OPERATION) == SIZE
    assert renderer.asked == [("x", OPERATION)]


@pytest.mark.usefixtures("server")
def test_only_the_user_of_the_worker_can_connect(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "error",
    [NotRenderable("memory", "It needs more."), Missing("x"), RendererBusy(7), Unavailable("private", 9), Full("full")],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_the_port_reach_the_caller(renderer: Renderer, path: Path, error: Exception) -> None:
    renderer.error = error
    with pytest.raises(type(error)) as caught:
        SocketRenderer(path).render("x", OPERATION)
    assert type(caught.value) is type(error)
    assert "private" not in str(caught.value)
    assert getattr(caught.value, "retry_after", None) == getattr(error, "retry_after", None)
    assert getattr(caught.value, "code", None) == getattr(error, "code", None)


@pytest.mark.usefixtures("server")
def test_an_unknown_image_is_missing(path: Path) -> None:
    with pytest.raises(Missing):
        SocketRenderer(path).render("unknown", OPERATION)


@pytest.mark.usefixtures("server")
def test_an_unexpected_error_is_unavailable(renderer: Renderer, path: Path) -> None:
    renderer.error = ZeroDivisionError("secret")
    with pytest.raises(Unavailable, match="The renderer of sizes failed"):
        SocketRenderer(path).render("x", OPERATION)


@pytest.mark.usefixtures("server")
def test_a_size_that_cannot_be_rendered_is_not_tried_again_at_once(renderer: Renderer, path: Path) -> None:
    renderer.error = NotRenderable("timeout", "It takes too long.")
    for _ in range(3):
        with pytest.raises(NotRenderable, match="It takes too long"):
            SocketRenderer(path).render("x", OPERATION)
    assert len(renderer.asked) == 1


@pytest.mark.usefixtures("server")
def test_concurrent_requests_share_one_rendering(renderer: Renderer, path: Path) -> None:
    renderer.gate.clear()
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(SocketRenderer(path).render, "x", OPERATION) for _ in range(6)]
        wait_for(lambda: renderer.asked, 60)
        renderer.gate.set()
        assert {call.result(60) for call in calls} == {SIZE}


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "request_line",
    [
        b"\n",
        b"{}\n",
        b'{"image_id": "x"}\n',
        b'{"image_id": "x", "operation": "../../secret"}\n',
        b'{"image_id": "x", "operation": "w0-q75.webp"}\n',
        b'{"image_id": "x", "operation": "w640-q75.webp", "more": 1}\n',
        b"\xff\xfe\n",
        b"x" * (MAX_MESSAGE + 1) + b"\n",
        b"half a request",
    ],
)
def test_malformed_requests_render_nothing_and_end(renderer: Renderer, path: Path, request_line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(request_line)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert not answer or b'"error":"Unavailable"' in answer
    assert not renderer.asked
    assert SocketRenderer(path).render("x", OPERATION) == SIZE, "the server goes on"


@pytest.mark.usefixtures("server")
def test_a_caller_that_hangs_up_leaves_the_line(renderer: Renderer, path: Path) -> None:
    renderer.gate.clear()
    names = ["a", "b", "unwanted"]
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(SocketRenderer(path).render, name, OPERATION) for name in names[:2]]
        wait_for(lambda: len(renderer.asked) == 2, 60)
        with pytest.raises(RendererBusy):
            SocketRenderer(path, seconds=0.05).render("unwanted", OPERATION)
        for _ in range(3):  # the server has seen the end of that connection once it has answered later ones
            with pytest.raises(Missing):
                SocketRenderer(path).render("unknown", OPERATION)
        last = pool.submit(SocketRenderer(path).render, "wanted", OPERATION)
        renderer.gate.set()
        assert [call.result(60) for call in (*running, last)] == [SIZE] * 3
    assert "unwanted" not in [image_id for image_id, _ in renderer.asked]


def test_without_a_worker_a_size_is_unavailable(path: Path) -> None:
    with pytest.raises(Unavailable, match="not running") as caught:
        SocketRenderer(path).render("x", OPERATION)
    assert caught.value.retry_after > 0


def test_a_stale_socket_is_unavailable_and_replaced(renderer: Renderer, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(Unavailable, match="not running"):
        SocketRenderer(path).render("x", OPERATION)
    server = RenderServer(path, renderer, at_once=1)
    assert server.start()
    assert SocketRenderer(path).render("x", OPERATION) == SIZE
    server.stop()
    assert not path.exists()


@contextmanager
def asked(path: Path) -> Iterator[tuple[Future[RenderedSize], socket.socket]]:
    """Yield a call of the adapter and the connection on which it waits for its answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(SocketRenderer(path).render, "x", OPERATION)
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                yield call, connection


def test_a_worker_that_ends_meanwhile_is_unavailable(path: Path) -> None:
    with asked(path) as (call, connection):
        connection.close()
        with pytest.raises(Unavailable, match="ended"):
            call.result(60)


@pytest.mark.parametrize("answer", [b"nonsense\n", b'{"error": "Other"}\n', b"x" * 10_000])
def test_nonsense_from_the_socket_is_unavailable(path: Path, answer: bytes) -> None:
    with asked(path) as (call, connection):
        connection.sendall(answer)
        with pytest.raises(Unavailable):
            call.result(60)


def test_the_end_waits_for_what_runs_and_refuses_what_waits(renderer: Renderer, path: Path) -> None:
    server = RenderServer(path, renderer, at_once=1)
    assert server.start()
    renderer.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(SocketRenderer(path).render, "a", OPERATION)
        wait_for(lambda: renderer.asked, 60)
        waiting = pool.submit(SocketRenderer(path).render, "b", OPERATION)
        ending = threading.Thread(target=server.stop)
        assert not renderer.give_ups[0]()
        ending.start()
        with pytest.raises(Unavailable):
            waiting.result(60)
        assert renderer.give_ups[0](), "it stops waiting for memory"
        renderer.gate.set()
        assert running.result(60) == SIZE
        ending.join(60)
    assert not path.exists()


def test_a_path_longer_than_the_system_allows_works(renderer: Renderer, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    path = folder / "sizes.sock"
    server = RenderServer(path, renderer, at_once=1)
    assert server.start()
    assert path.is_socket()
    assert SocketRenderer(path).render("x", OPERATION) == SIZE
    server.stop()
    assert not path.exists()


def test_a_folder_without_sockets_does_not_end_the_worker(renderer: Renderer, tmp_path: Path) -> None:
    server = RenderServer(tmp_path / "missing" / "sizes.sock", renderer, at_once=1)
    assert not server.start()
    server.stop()
