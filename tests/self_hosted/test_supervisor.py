"""The watcher of the worker process outlives what keeps it from starting one."""

import errno
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.supervisor import Supervisor
from tests.running_server import wait_for


@pytest.fixture
def refusals() -> list[OSError]:
    return [OSError(number, "refused") for number in (errno.EAGAIN, errno.ENOMEM)]


@pytest.fixture
def supervisor(refusals: list[OSError], monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """One whose worker only waits for its input's end, once the system has refused to start it."""
    real = subprocess.Popen

    def popen(_: Any, **options: Any) -> subprocess.Popen[bytes]:
        if refusals:
            raise refusals.pop()
        return real([sys.executable, "-c", "import sys; sys.stdin.read()"], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    made = Supervisor()
    yield made
    made.stop()


def runs(supervisor: Supervisor) -> bool:
    try:
        supervisor.check()
    except Unavailable:
        return False
    return True


def test_a_worker_that_cannot_be_started_is_tried_again(
    supervisor: Supervisor, refusals: list[OSError], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        supervisor.start()
        wait_for(lambda: runs(supervisor), 60)
    assert refusals == []
    assert caplog.text.count("worker process not started") == 2


def test_one_that_waits_to_try_again_is_stopped_at_once(supervisor: Supervisor, refusals: list[OSError]) -> None:
    refusals.extend(OSError(errno.EAGAIN, "refused") for _ in range(100))
    supervisor.start()
    wait_for(lambda: len(refusals) < 102, 60)
    assert not runs(supervisor)


def test_a_worker_that_ended_in_order_is_not_started_again_while_the_server_stops(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A signal to the whole process group ends the worker first."""
    real = subprocess.Popen
    started: list[subprocess.Popen[bytes]] = []

    def popen(_: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real([sys.executable, "-c", ""], **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr("app.supervisor._ORDERLY_PAUSE", 60)
    supervisor = Supervisor()
    supervisor.start()
    wait_for(lambda: started and started[0].poll() is not None, 60)
    supervisor.stop()
    assert len(started) == 1
    assert "ended" not in caplog.text


def test_images_that_the_worker_has_handled_are_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = subprocess.Popen
    program = "import sys; print('one', 'two', 'three', sep='\\n', flush=True); sys.stdin.read()"
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: real([sys.executable, "-c", program], **options))
    reported: list[str] = []

    def report(image_id: str) -> None:
        reported.append(image_id)
        if image_id == "two":
            raise ValueError("a bug")

    supervisor = Supervisor()
    supervisor.start(on_handled=report)
    wait_for(lambda: len(reported) == 3, 60)
    supervisor.check()
    supervisor.stop()
    assert reported == ["one", "two", "three"]
    assert "was not reported" in caplog.text
