"""Spare children: each serves one job, is confined before it reads anything, and is replaced."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.domain.errors import ImageError
from app.worker.jobs import Job, Processed
from app.worker.memory_budget import MemoryBudget
from app.worker.sandbox import fork_server
from app.worker.sandbox.child import Work, render_variants
from app.worker.sandbox.parent import Sandbox
from app.worker.sandbox.spares import Spares
from app.worker.share import Share
from tests.repository.tree import ROOT
from tests.samples import encoded
from tests.tiers import smoke
from tests.worker import stubs
from tests.worker.conftest import SMALL
from tests.worker.sandbox import escapes
from tests.worker.sandbox.test_escapes import ROWS, alive, eventually, expected, need, rows

JOB = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10_000_000, max_frames=10)


@contextmanager
def sandbox_with_spares(
    folder: Path, work: Work = render_variants, count: int = 1, seconds: float = 60, memory_mb: int = 1024
) -> Iterator[tuple[Sandbox, Spares]]:
    """Yield a sandbox with spares that are ready. At the end nothing may be left of them."""
    spares = Spares(work, folder, count)
    sandbox = Sandbox(seconds, memory_mb, work=work, spares=spares)
    sandbox.start()
    try:
        wait_until_ready(spares, count)
        yield sandbox, spares
    finally:
        sandbox.close()
    assert not list(folder.iterdir())


def wait_until_ready(spares: Spares, count: int = 1) -> None:
    eventually(lambda: spares.count_ready() == count)


def process(sandbox: Sandbox, folder: Path) -> tuple[Processed, dict[str, bytes]]:
    """Process a small image; return the result and its files."""
    with sandbox.workspace(folder) as (source, out):
        source.write_bytes(encoded())
        made = sandbox.process(source, out, JOB)
        return made, {variant.file: (out / variant.file).read_bytes() for variant in made.variants}


def refusal(sandbox: Sandbox, folder: Path) -> str:
    """Return the code and the detail an image fails with."""
    with pytest.raises(ImageError) as failure:
        process(sandbox, folder)
    return f"{failure.value.code} {failure.value.detail}"


def test_a_spare_makes_what_a_new_process_makes(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path) as (sandbox, _):
        found, files = process(sandbox, tmp_path)
    made, expected = process(Sandbox(60, 1024, work=render_variants), tmp_path)
    assert files == expected
    unsteady = {"timings", "memory_mb"}
    assert found.model_dump(exclude=unsteady) == made.model_dump(exclude=unsteady)


def test_a_spare_does_what_its_memory_was_estimated_for(tmp_path: Path) -> None:
    """Another process makes the estimate, in the folders of the spare."""
    with sandbox_with_spares(tmp_path) as (sandbox, _), sandbox.workspace(tmp_path) as (source, out):
        source.write_bytes(encoded())
        made = Share(memory=MemoryBudget(3000)).process(sandbox, source, out, JOB)
        assert {path.name for path in out.iterdir()} == {variant.file for variant in made.variants}


def test_each_spare_serves_one_job(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path, stubs.tell_pid) as (sandbox, spares):
        served = []
        for _ in range(3):
            wait_until_ready(spares)
            (waiting,) = spares.pids()
            assert refusal(sandbox, tmp_path) == f"not_an_image {waiting}"
            served.append(waiting)
            eventually(lambda pid=waiting: not alive(pid))  # type: ignore[misc]
        assert len(set(served)) == 3


def test_a_job_without_a_spare_starts_a_process(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path, stubs.tell_pid) as (sandbox, spares):
        pids = spares.pids()
        with sandbox.workspace(tmp_path):
            assert refusal(sandbox, tmp_path).split()[1] not in map(str, pids)


@pytest.mark.parametrize(
    ("work", "seconds", "memory_mb", "code"),
    smoke(
        [
            (stubs.crash, 60, 1024, "crashed"),
            (stubs.leave, 60, 1024, "crashed"),
            (stubs.sleep, 0.4, 1024, "timeout"),
            (stubs.eat, 60, 256, "memory"),
            (stubs.write_a_pickle, 60, 1024, "crashed"),
            (stubs.link_to_secret, 60, 1024, "crashed"),
            (stubs.kill_self, 60, 1024, "crashed"),
        ]
    ),
)
def test_faults_end_as_in_any_process(tmp_path: Path, work: Work, seconds: float, memory_mb: int, code: str) -> None:
    with sandbox_with_spares(tmp_path, work, seconds=seconds, memory_mb=memory_mb) as (sandbox, _):
        assert refusal(sandbox, tmp_path).split()[0] == code


def test_a_spare_that_was_given_no_job_is_not_used_again(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path) as (sandbox, spares):
        before = spares.pids()
        with pytest.raises(ZeroDivisionError), sandbox.workspace(tmp_path):
            raise ZeroDivisionError
        eventually(lambda: spares.count_ready() == 1 and spares.pids() != before)
        assert not any(map(alive, before))


def test_a_spare_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path, count=2) as (sandbox, spares):
        killed, kept = spares.pids()
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: spares.count_ready() == 2 and killed not in spares.pids())
        assert kept in spares.pids()
        assert process(sandbox, tmp_path)[0].variants


def test_an_image_whose_spare_was_killed_is_tried_once_more(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path) as (sandbox, spares):
        (pid,) = spares.pids()
        with sandbox.workspace(tmp_path) as (source, out):
            source.write_bytes(encoded())
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not alive(pid))
            assert sandbox.process(source, out, JOB).variants


@pytest.mark.slow
def test_spares_are_replaced_with_their_fork_server(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path) as (sandbox, spares):
        before = spares.pids()
        os.kill(fork_server.pid() or 0, signal.SIGKILL)
        eventually(lambda: spares.count_ready() == 1 and spares.pids() != before)
        assert process(sandbox, tmp_path)[0].variants


def test_without_processes_there_are_no_spares_and_later_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = []

    def refuse() -> None:
        failures.append(1)
        raise OSError("no process")

    monkeypatch.setattr(fork_server, "start", refuse)
    spares = Spares(render_variants, tmp_path)
    spares.start()
    try:
        eventually(lambda: len(failures) > 1)
        assert spares.take() is None
        monkeypatch.undo()
        wait_until_ready(spares)
    finally:
        spares.close()
    assert not list(tmp_path.iterdir())


def test_closing_ends_the_spares_and_starts_no_more(tmp_path: Path) -> None:
    with sandbox_with_spares(tmp_path, count=2) as (sandbox, spares):
        pids = spares.pids()
        sandbox.close()
        assert not any(map(alive, pids))
        assert spares.take() is None
        assert process(sandbox, tmp_path)[0].variants, "an image that is late starts a process"


# ---- Programs of their own

PROGRAM = """
import os, shutil, sys, time
from pathlib import Path

from app import linux

linux.drop_capabilities()  # an ordinary user, also where tests run as root
linux.hide()  # as the entry points do

from app.domain.errors import ImageError
from app.worker.jobs import Job
from app.worker.sandbox.parent import Sandbox
from app.worker.sandbox.spares import Spares
from tests.worker.sandbox import escapes
from tests.worker.conftest import SMALL

folder = Path(sys.argv[1])
spares = Spares(escapes.try_all, folder)
sandbox = Sandbox(120, 1024, work=escapes.try_all, spares=spares)
sandbox.start()
while not spares.count_ready():
    time.sleep(0.01)
print(os.getpid(), *spares.pids(), flush=True)
if sys.stdin.readline():
    with sandbox.workspace(folder) as (_, out):
        job = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=1, max_frames=1)
        try:
            sandbox.process(folder / "original", out, job)  # a file that is not in the spare's folder
        except ImageError as error:
            print(error.code, error.detail)
        shutil.copy(out / escapes.REPORT, folder)
"""


@contextmanager
def program(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a program that has a spare, and yield it with the process id of that."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=folder) as running:
        try:
            assert running.stdout
            yield running, int(running.stdout.readline().split()[1])
        finally:
            running.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "original").write_bytes(encoded())
    for name in (escapes.DATABASE, "spare"):
        (tmp_path / name).write_bytes(b"records")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")
def test_a_spare_is_confined_before_it_reads_anything(folder: Path) -> None:
    """Its work gets no further than that of a new process, and cannot even read an image that is not its own."""
    need("Landlock and seccomp")
    with program(folder) as (running, pid):
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["NoNewPrivs"].strip() == "1"
        assert int(status["CapEff"], 16) in {0, 2}
        said, _ = running.communicate("go\n", timeout=120)
    assert said == "not_an_image all escapes were tried\n"
    found = json.loads((folder / escapes.REPORT).read_text())
    wrong = [
        f"{label}: {name}: {found[name]}, and not {cell}"
        for label, cell, *_ in rows()
        for name in ROWS[label]
        if found[name].partition(":")[0] != expected(cell)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["worker", "fork server"])
def test_a_spare_ends_with_its_worker_and_with_its_fork_server(folder: Path, killed: str) -> None:
    with program(folder) as (running, pid):
        server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(running.pid if killed == "worker" else server, signal.SIGKILL)
        eventually(lambda: not alive(pid))
