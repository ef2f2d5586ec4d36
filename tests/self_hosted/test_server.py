"""The real server: how it ends, and what it takes from the system."""

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.server.capacity import Bounds, bounds_for
from tests.api.raw_requests import answers_in, read_all
from tests.repository.tree import ROOT, texts
from tests.running_server import Server, serving, wait_for
from tests.tiers import smoke

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may open few files unless it asks for more."""
    with ExitStack() as stack:
        with few_descriptors():
            server = stack.enter_context(serving(tmp_path_factory.mktemp("server") / "data"))
        yield server


@contextmanager
def few_descriptors() -> Iterator[None]:
    """Give processes that start meanwhile a low soft limit of open descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def pid(server: Server) -> int:
    assert server.process is not None
    return server.process.pid


def rss(server: Server) -> int:
    """Its memory in bytes."""
    status = Path(f"/proc/{pid(server)}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def children_of(server: Server) -> list[str]:
    """The ids of its child processes."""
    found: list[str] = []
    for task in Path(f"/proc/{pid(server)}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            found += (task / "children").read_text().split()
    return found


def test_it_raises_its_limit_of_open_files(running: Server) -> None:
    limits = Path(f"/proc/{pid(running)}/limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(soft) == min(int(hard), 65536)


def test_connections_that_say_nothing_do_not_stop_it(running: Server) -> None:
    with ExitStack() as stack:
        for _ in range(500):  # more than the limit that it was started with
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=60))
        assert running.client.get("/healthz").status_code == 200
        assert running.client.get("/images").status_code == 200


def test_a_request_in_a_body_with_upgrade_is_not_run(running: Server) -> None:
    inner = b"DELETE /images/01a21f65-7e5c-7fba-a356-000000000000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = (
        b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as sock:
        sock.sendall(head % len(inner) + inner + last)
        assert [answer.status for answer in answers_in(read_all(sock))] == [400, 200]
    assert "DELETE" not in running.log.read_text()


def test_a_head_without_end_costs_no_memory(running: Server) -> None:
    before = rss(running)
    for head in (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"GET /healthz?"):
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as sock:
            sock.sendall(head)
            for _ in range(50):
                sock.sendall(b"a:b\r\n" * 200_000)
            assert rss(running) - before < 10_000_000
            assert answers_in(read_all(sock))[0].problem["code"] == "head_too_large"


@pytest.mark.parametrize("number", smoke([signal.SIGTERM, signal.SIGINT]))
def test_a_signal_ends_it_with_0_and_its_worker_with_it(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path / "data") as server:
        wait_for(lambda: children_of(server), 60)
        children = children_of(server)
        assert server.process is not None
        server.process.send_signal(number)
        assert server.process.wait(60) == 0
        assert [child for child in children if Path(f"/proc/{child}").exists()] == []
        log = server.log.read_text()
    assert "ERROR" not in log
    assert "Traceback" not in log


def test_waiting_clients_are_answered_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        wanted = {"filename": "a.jpg", "content_type": "image/jpeg", "bytes": 1000}
        ticket = server.client.post("/upload/direct", json=wanted).json()
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
            sock.sendall(f"GET /images/{ticket['id']}?wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            # On a new connection, which is accepted and read after that of the waiting request.
            httpx.get(f"{server.url}/healthz", timeout=60)
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            (answer,) = answers_in(read_all(sock))
        assert server.process.wait(60) == 0
    assert answer.status == 200
    assert b'"pending"' in answer.body
    assert "ERROR" not in server.log.read_text()


def test_a_signal_while_it_starts_ends_it_with_0(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    # Short sleeps: a signal that arrives just before a sleep does not interrupt it.
    hang = """
import time
from app import main

def build(_):
    print("building", flush=True)
    while True:
        time.sleep(0.01)

main.build = build
main.main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", hang], cwd=ROOT, env=server.environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize(("descriptors", "requests"), [(65536, 2048), (10240, 2048), (1024, 256), (256, 16)], ids=str)
def test_the_bounds_follow_the_limit_of_open_files(descriptors: int, requests: int) -> None:
    assert bounds_for(descriptors).most_requests == requests


def test_there_is_one_way_to_start_it() -> None:
    assert "exec .venv/bin/python -m app.main\n" in texts()["tools/serve.sh"]
    unit = texts()["docs/server.md"].split("```ini")[1].split("```")[0]
    assert "/.venv/bin/python -m app.main\n" in unit
    assert "LimitNOFILE=65536\n" in unit
    assert [name for name, text in texts().items() if "uvicorn app" + "." in text or "app.main" + ":app" in text] == []


def test_the_documentation_names_the_bounds() -> None:
    bounds, text = Bounds(), texts()["docs/server.md"]
    section = text[text.index("## Limits on clients") :].split("\n## ")[0]
    for found in (
        f"{bounds.head_seconds} seconds", f"{bounds.keep_alive_seconds} seconds", f"{bounds.most_requests:,} requests",
        f"{2 * bounds.most_requests:,} connections", f"{bounds.stall_bytes // 1024} KiB", "32 KiB", "100 header fields",
    ):  # fmt: skip
        assert found in section, found
