"""Bodies that come faster than the application reads them."""

import hashlib
import re
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.api.raw_requests import answers_in, read_all
from tests.running_server import wait_for

MEBIBYTE = 1024 * 1024
UPLOADS, SIZE = 40, 8 * MEBIBYTE


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """Port and process id of a server whose application reads nothing yet."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.set_inheritable(True)
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "tests.server.slow_application", str(listener.fileno())]
        running = subprocess.Popen(command, pass_fds=[listener.fileno()], cwd=Path(__file__).parents[2])
    try:
        wait_for(lambda: waiting(port) == 0, 60)
        yield port, running.pid
    finally:
        running.kill()
        running.wait()


def waiting(port: int) -> int | None:
    try:
        return int(httpx.get(f"http://127.0.0.1:{port}/waiting", timeout=60).text)
    except httpx.TransportError:
        return None


def peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_bodies_wait_for_a_slow_application_and_arrive(server: tuple[int, int]) -> None:
    port, pid = server
    before = peak(pid)
    with ExitStack() as stack:
        left: dict[socket.socket, memoryview] = {}
        digests = {}
        for number in range(UPLOADS):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            body = bytes([number]) * SIZE
            head = b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % SIZE
            sock.sendall(head)
            left[sock], digests[sock] = memoryview(body), hashlib.sha256(body).hexdigest()
        wait_for(lambda: waiting(port) == UPLOADS, 60)
        while ready := select.select([], [sock for sock in left if left[sock]], [], 1)[
            1
        ]:  # as much as the server takes
            for sock in ready:
                left[sock] = left[sock][sock.send(left[sock][:65536]) :]
        assert peak(pid) - before < UPLOADS * SIZE // 3

        def finish(sock: socket.socket) -> str:
            sock.sendall(left[sock])
            (answer,) = answers_in(read_all(sock))
            return answer.body.decode()

        with ThreadPoolExecutor(UPLOADS) as pool:
            assert httpx.get(f"http://127.0.0.1:{port}/go", timeout=60).status_code == 200
            assert dict(zip(left, pool.map(finish, left), strict=True)) == digests
    assert peak(pid) - before < UPLOADS * SIZE // 3
