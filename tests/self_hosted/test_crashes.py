"""`kill -9` at any point loses nothing that was acknowledged."""

import contextlib
import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, Image, utcnow
from app.embedded_worker import make_scratch
from tests.running_server import START_SECONDS, Server, finished, has_no_files_of_images, serving, wait_for
from tests.samples import encoded, shared_file
from tests.sides import self_hosted

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data") as running:
        yield running


def big_image(seed: int = 0) -> bytes:
    """Return an image whose processing takes long enough to be interrupted."""
    path = shared_file("photo-12mp.heic")
    return path.read_bytes() if path and seed == 0 else encoded("PNG", 3000, 2000, seed=seed)


def upload(server: Server, body: bytes) -> str:
    answer = server.client.post("/upload", files={"file": ("p", body)})
    assert answer.status_code == 201
    return str(answer.json()["id"])


def children_of(pid: int) -> list[int]:
    """Direct children, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def worker_of(server: Server) -> int:
    """Wait for the worker process: the server starts it while it already answers."""
    found: list[int] = []

    def find() -> bool:
        assert server.process is not None
        for pid in children_of(server.process.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"app.embedded_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return bool(found)

    wait_for(find, 60, lambda: "the server has no worker process")
    return found[0]


def get_image_child(server: Server) -> int | None:
    """Return the process that processes an image: a child of the worker's fork server, and no spare one.

    A child filters its system calls once it has its order.
    """
    for forkserver in children_of(worker_of(server)):
        for child in children_of(forkserver):
            with contextlib.suppress(OSError):
                if "Seccomp:\t2" in Path(f"/proc/{child}/status").read_text():
                    return child
    return None


def stop_image_child(server: Server, is_running: Callable[[], bool]) -> int | None:
    """Stop the process that processes an image in its midst, and return it.

    Return None if the work ends before it is seen, as on a busy machine.
    """
    while is_running():
        child = get_image_child(server)
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                if get_image_child(server) == child:
                    return child
    return None


def upload_and_stop(server: Server) -> tuple[str, int]:
    """Upload images until the process of one is stopped in its midst. Return that image and the process."""

    def is_pending() -> bool:
        return bool(server.client.get(f"/images/{image_id}").json()["status"] == "pending")

    for seed in range(50):
        image_id = upload(server, big_image(seed))
        child = stop_image_child(server, is_pending)
        if child is not None:
            return image_id, child
    raise AssertionError("every image was processed before its process was seen")


def stop_worker(server: Server, database: Path | None = None) -> int:
    """Stop the worker process at a moment at which it does not lock the database, and return it."""
    worker = worker_of(server)

    def stop() -> bool:
        os.kill(worker, signal.SIGSTOP)
        stat = Path(f"/proc/{worker}/stat")
        wait_for(lambda: stat.read_text().rpartition(") ")[2].startswith("T"), 60)
        file = database or server.data / "darkroom.db"
        try:
            with contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            os.kill(worker, signal.SIGCONT)
            return False
        return True

    wait_for(stop, 60)
    return worker


def test_killing_the_server_right_after_an_upload_loses_nothing(server: Server) -> None:
    image_id = upload(server, big_image())
    worker = worker_of(server)
    server.kill()
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), 60)
    server.start()
    assert finished(server, image_id)["status"] == "ready"


def test_killing_server_and_worker_together_loses_nothing(server: Server) -> None:
    ids = [upload(server, big_image(seed)) for seed in range(3)]
    worker = worker_of(server)
    server.kill()
    with contextlib.suppress(ProcessLookupError):  # it ends with the server, a moment later
        os.kill(worker, signal.SIGKILL)
    server.start()
    assert [finished(server, image_id)["status"] for image_id in ids] == ["ready"] * 3
    assert len(server.client.get("/images").json()["items"]) == 3


def test_images_that_waited_through_a_long_standstill_are_processed(tmp_path: Path) -> None:
    with self_hosted(tmp_path / "data") as side:
        body = encoded("JPEG", 320, 240, seed=4)
        then = utcnow() - timedelta(hours=25)
        image = Image(
            id=new_id(), owner=ANONYMOUS, content_type="image/jpeg", bytes=len(body), uploaded_at=then, updated_at=then
        )
        side.images.create(image, claim=False)
        # Put, which sends no event: that was lost too.
        side.store.put(original_key(image.id), io.BytesIO(body), size=len(body), content_type="image/jpeg")
    with serving(tmp_path / "data") as server:
        assert finished(server, image.id)["status"] == "ready"


def test_killing_the_worker_process_only_delays_an_image(server: Server) -> None:
    image_id, child = upload_and_stop(server)
    worker = worker_of(server)
    os.kill(worker, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGCONT)
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 60)
    assert finished(server, image_id)["status"] == "ready"
    assert worker_of(server) != worker
    wait_for(lambda: has_no_files_of_images(server.data), 60)


def test_a_worker_starts_while_a_process_still_writes_into_the_old_scratch_folder(tmp_path: Path) -> None:
    """The process of a killed worker ends a moment after it."""
    folder, stop = tmp_path / "scratch", threading.Event()

    def write() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                (folder / "old" / "picture").mkdir(parents=True, exist_ok=True)
                (folder / "old" / "picture" / "w320.webp").write_bytes(b"late")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = {make_scratch(folder) for _ in range(100)}
        assert len(made) == 100
    finally:
        stop.set()
        writer.join()
    assert list(make_scratch(folder).iterdir()) == []
    assert len(list(folder.iterdir())) == 1


AS_A_USER = """
from app import linux

assert linux.forbid_new_privileges() and linux.drop_capabilities()
"""
GO_ON = """
import os, sys

os.execv(sys.argv[1], sys.argv[1:])
"""
READ_ENVIRONMENTS = """
import sys
from pathlib import Path

for pid in sys.argv[1:]:
    try:
        print(b"HOME" in Path(f"/proc/{pid}/environ").read_bytes())
    except PermissionError:
        print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_no_other_process_of_its_user_reads_the_environment_of_server_or_worker(tmp_path: Path) -> None:
    """It holds secrets. All run without root's capabilities, which would read everything."""
    usual = [sys.executable, "-c", f"{AS_A_USER}\nprint('ready', flush=True)\ninput()"]
    server = Server(tmp_path / "data")
    server.prefix = [sys.executable, "-c", AS_A_USER + GO_ON]
    with server, subprocess.Popen(usual, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert server.process is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"  # it has no capabilities any more
        wait_for(lambda: "worker ready" in server.log.read_text(), START_SECONDS, server.log.read_text)
        pids = [server.process.pid, worker_of(server), other.pid]
        command = [sys.executable, "-c", AS_A_USER + READ_ENVIRONMENTS, *map(str, pids)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        other.communicate(b"\n")
    assert found == ["refused", "refused", "True"]


def test_killing_the_process_of_an_image_only_delays_it(server: Server) -> None:
    image_id, child = upload_and_stop(server)
    os.kill(child, signal.SIGKILL)
    assert finished(server, image_id)["status"] == "ready"
    other = upload(server, encoded("JPEG", 320, 240, seed=3))
    assert finished(server, other)["status"] == "ready"


def test_the_worker_ends_with_its_server(server: Server) -> None:
    worker = worker_of(server)
    assert server.stop() == 0
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), 60)


def test_a_data_folder_has_one_worker_at_work_and_a_second_takes_over(server: Server) -> None:
    with serving(server.data) as second:
        image_id = upload(second, encoded("JPEG", 320, 240, seed=5))
        assert finished(second, image_id)["status"] == "ready"
        server.stop()
        image_id = upload(second, encoded("JPEG", 320, 240, seed=6))
        assert finished(second, image_id)["status"] == "ready"
