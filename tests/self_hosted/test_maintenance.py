"""Reconcile in the worker process: at the same time as the processing of images, and not before it."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, Image, Status, utcnow
from tests.contract.records import an_image
from tests.running_server import finished, serving, wait_for
from tests.samples import encoded
from tests.self_hosted.test_crashes import stop_worker
from tests.sides import Side, self_hosted

ROOT = Path(__file__).parents[2]
BODY = encoded("JPEG", 320, 240, seed=12)

#: Starts a worker whose reconcile never ends, or fails with an unexpected error.
ENDLESS = """
import sys, threading
from pathlib import Path
from app.embedded_worker import main
from app.domain.maintenance.reconcile import Reconciler

def run(self, **_):
    Path(sys.argv[1]).touch()
    threading.Event().wait()

Reconciler.run = run
main()
"""
#: Starts a worker as a server does. What it prints afterwards goes to standard error.
STARTED = """
from app.embedded_worker import main
from app.domain.maintenance.reconcile import Reconciler

sys.stdout.flush()
inner = Reconciler.run

def run(self, **options):
    print("another line")
    return inner(self, **options)

Reconciler.run = run
main(end_with_input=True)
"""
FAILING = ENDLESS.replace("threading.Event().wait()", "raise RuntimeError('unforeseen')")


@contextmanager
def worker(data: Path, script: str, begun: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process on a data folder."""
    environment = {
        **os.environ,
        "DARKROOM_STORAGE_URL": f"file:{data}",
        "DARKROOM_DATABASE_URL": f"sqlite:{data}/darkroom.db",
    }
    with subprocess.Popen([sys.executable, "-c", script, begun], env=environment, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def upload(side: Side) -> Image:
    """A pending image, its event in the queue."""
    image = an_image(id=new_id(), owner=ANONYMOUS, bytes=len(BODY), sha256=None)
    side.images.create(image, claim=False)
    side.store.create(original_key(image.id), io.BytesIO(BODY), size=len(BODY), content_type="image/jpeg")
    return image


def is_ready(side: Side, image: Image) -> bool:
    found = side.images.get(image.id)
    return isinstance(found, Image) and found.status is Status.READY


@pytest.mark.slow
def test_images_are_processed_while_reconcile_runs(tmp_path: Path) -> None:
    data, begun = tmp_path / "data", tmp_path / "begun"
    with self_hosted(data) as side, worker(data, ENDLESS, begun) as process:
        wait_for(begun.exists, 60)
        image = upload(side)
        wait_for(lambda: is_ready(side, image), 60)
        process.terminate()
        assert process.wait(60) == 0  # and a stop does not wait for the end of a run


@pytest.mark.slow
def test_a_reconcile_that_fails_does_not_end_the_worker(tmp_path: Path) -> None:
    data, begun = tmp_path / "data", tmp_path / "begun"
    with self_hosted(data) as side, worker(data, FAILING, begun) as process:
        wait_for(begun.exists, 60)
        image = upload(side)
        wait_for(lambda: is_ready(side, image), 60)
        assert process.poll() is None


def test_the_worker_of_a_server_writes_the_ids_of_images_and_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environment = {
        **os.environ,
        "DARKROOM_STORAGE_URL": f"file:{data}",
        "DARKROOM_DATABASE_URL": f"sqlite:{data}/darkroom.db",
    }
    command = [sys.executable, "-c", "import sys; print('a line of a library')\n" + STARTED, "--end-with-input"]
    with self_hosted(data) as side:
        image = upload(side)
        with subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert process.stdin
            written = iter(process.stdout.readline, "")
            assert next(written) == "a line of a library\n"
            assert next(written).strip() == image.id
            assert is_ready(side, image)
            process.stdin.close()
            assert {line.strip() for line in written} <= {image.id}  # the reconcile at the start sends its event again
            assert process.wait(60) == 0


@pytest.mark.slow
def test_an_image_queued_before_the_clock_was_set_back_does_not_wait(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        worker_pid = stop_worker(server)
        try:
            image_id = server.client.post("/upload", files={"file": ("p.jpg", BODY)}).json()["id"]
            with sqlite3.connect(server.data / "darkroom.db") as connection:  # as if the clock had been a day ahead
                assert connection.execute("UPDATE messages SET due = due + 86400").rowcount == 1
            connection.close()
        finally:
            os.kill(worker_pid, signal.SIGCONT)
        assert finished(server, image_id)["status"] == "ready"


@pytest.mark.slow
def test_a_flood_of_unused_tickets_is_removed_while_images_are_processed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with self_hosted(data) as side:
        long_ago = utcnow().replace(year=2020)
        for _ in range(500):
            ticket = an_image(owner=ANONYMOUS, sha256=None, upload_expires_at=long_ago, uploaded_at=long_ago)
            side.images.create(ticket, claim=False)
        with serving(data) as server:
            record = finished(server, server.client.post("/upload", files={"file": ("p.jpg", BODY)}).json()["id"])
            assert record["status"] == "ready"
            wait_for(lambda: side.unfinished() == [], 60, server.log.read_text)
            assert len(side.images.open_tickets(ANONYMOUS, 1000)) == 0
            assert server.client.get("/images").json()["items"][0]["id"] == record["id"]
