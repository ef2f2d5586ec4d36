"""Hostile code inside an image's process gets exactly as far as SECURITY.md says, with and without the kernel's help.

A kernel without Landlock or seccomp is simulated by a filter around the whole program.
"""

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.errors import ImageError
from app.worker.jobs import Job
from app.worker.sandbox import confinement, landlock, parent, seccomp
from app.worker.sandbox.parent import Sandbox
from tests.repository.tree import ROOT, table
from tests.samples import encoded
from tests.tiers import smoke
from tests.worker.conftest import SMALL
from tests.worker.sandbox import escapes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")

SYSTEMS = {
    "Landlock and seccomp": (),
    "seccomp alone": ("landlock",),
    "Landlock alone": ("seccomp",),
    "neither": ("landlock", "seccomp"),
}
#: The rows of SECURITY.md and what is tried of each.
ROWS = {
    "connect over TCP": ["tcp"],
    "use UDP, Unix or Netlink sockets": [
        "udp", "udp over ipv6", "unix socket of the fork server", "abstract unix socket", "socket pair", "netlink",
    ],
    "use raw or packet sockets": ["raw socket", "packet socket"],
    "read or list other files": ["read", "list", "read /etc"],
    "truncate other files by name": ["truncate"],
    "create or overwrite other files": ["overwrite", "append", "overwrite the original", "create"],
    "rename or remove files, make folders and links": [
        "rename", "remove", "make a folder", "link",
    ],
    "make symbolic links or pipes in its folder": ["symbolic link", "pipe file"],
    "change mode, owner, times or attributes of any file": [
        "change mode", "change mode by descriptor", "change owner", "change times", "set attribute",
    ],
    "leave a process behind": [],
    "start a program": ["run", "spawn"],
    "fork": ["fork"],
    "signal other processes": ["signal the worker", "signal the fork server"],
    "have the kernel signal other processes": ["signal by descriptor"],
    "read or change memory, environment or open files of other processes": [
        "environment of the worker", "environment of the fork server", "memory of the worker",
        "memory of the fork server", "descriptors of the worker", "trace the worker", "trace the fork server",
        "read memory of the worker",
    ],
    "change the root folder, mount file systems": ["change root", "mount", "open by handle"],
    "use io_uring, bpf, user namespaces, priorities and other parts of the kernel": [
        "io_uring", "user namespace", "bpf", "performance events", "page faults", "keyring", "priority",
    ],
    "take memory that its limit does not count": ["memory in a nameless file", "shared memory"],
    "take disk space in nameless files": ["nameless file"],
    "take disk space in removed files": ["removed file"],
    "lift its alarm, limits or end with its parent": [
        "alarm", "limits", "limits of the worker", "end with the parent", "hidden memory",
    ],
}  # fmt: skip

JOB = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10**6, max_frames=1)

PROGRAM = """
import sys
from pathlib import Path

from app import linux
from tests.worker.sandbox.kernels import take_away

take_away(sys.argv[4:])
linux.drop_capabilities()  # an ordinary user, also where tests run as root
linux.hide()  # as the entry points do

from app.domain.errors import ImageError, Unavailable
from app.worker.sandbox import landlock, seccomp
from app.worker.jobs import Job
from app.worker.sandbox.parent import Sandbox
from tests.worker.sandbox import escapes
from tests.worker.conftest import SMALL

shared = (Path(sys.argv[1]) / "original").stat().st_nlink > 1
job = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10**6, max_frames=1, source_is_shared=shared)
print(landlock.available(), seccomp.available(), flush=True)
sandbox = Sandbox(float(sys.argv[3]), 1024, work=getattr(escapes, sys.argv[2]))
folder = Path(sys.argv[1])
try:
    sandbox.process(folder / "original", folder / "out", job)
except ImageError as error:
    print(error.code, error.detail)
except Unavailable as error:
    print("unavailable", error)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "original").write_bytes(encoded())
    for name in (escapes.DATABASE, "spare"):
        (tmp_path / name).write_bytes(b"records")
    (tmp_path / "out").mkdir()
    return tmp_path


def start(folder: Path, work: str, features: tuple[str, ...], seconds: float) -> subprocess.Popen[str]:
    """Start a program that has an image processed by hostile code on a system without these features."""
    command = [sys.executable, "-c", PROGRAM, str(folder), work, str(seconds), *features]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)


def run(folder: Path, work: str, features: tuple[str, ...] = ()) -> list[str]:
    """Run such a program and return the lines that it printed about the image."""
    program = start(folder, work, features, seconds=60)
    said = program.communicate(timeout=120)[0].splitlines()
    assert program.returncode == 0
    confined, filters = said[0].split()
    assert (confined == "True") == (landlock.available() and "landlock" not in features)
    assert (filters == "True") == (seccomp.available() and "seccomp" not in features)
    return said[1:]


def report(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "out" / escapes.REPORT).read_text())
    return found


def test_this_system_has_what_is_tested() -> None:
    """Release tests may leave nothing out; the failure names the missing feature."""
    found = {"landlock": landlock.version(), "seccomp": seccomp.available()}
    if os.environ.get("CI") == "true":
        assert found["landlock"] >= 1, found
        assert found["seccomp"], found
    print(found)


def test_every_row_of_the_page_is_tried() -> None:
    assert {row[0] for row in rows()} == set(ROWS)
    assert sorted(name for names in ROWS.values() for name in names) == sorted(
        escapes.attempts(Path("original"), Path("out"))
    )


def need(system: str) -> None:
    """Skip where the kernel lacks a feature that this test must have."""
    there = {"landlock": landlock.available(), "seccomp": seccomp.available()}
    missing = [name for name in there if not there[name] and name not in SYSTEMS[system]]
    if missing:
        pytest.skip(f"this kernel has no {' and no '.join(missing)}")


def rows() -> list[list[str]]:
    return table("A hijacked decoder tries to", (ROOT / "SECURITY.md").read_text())


@pytest.mark.parametrize("system", smoke(SYSTEMS))
def test_escapes_end_as_the_page_says(folder: Path, system: str) -> None:
    missing = [
        name for name, there in (("landlock", landlock.available()), ("seccomp", seccomp.available())) if not there
    ]
    if set(missing) - set(SYSTEMS[system]):
        pytest.skip(f"this kernel has no {' and no '.join(missing)}")
    said = run(folder, "try_all", SYSTEMS[system])
    assert said == ["not_an_image all escapes were tried"]
    found = report(folder)
    wrong = []
    for label, *cells in rows():
        cell = dict(zip(SYSTEMS, cells, strict=True))[system]
        for name in ROWS[label]:
            outcome = found[name].partition(":")[0]
            if cell != "up to the kernel" and outcome != expected(cell):
                wrong.append(f"{label}: {name}: {found[name]}, and not {cell}")
    assert not wrong, "\n".join(wrong)


def expected(cell: str) -> str:
    if cell.startswith("refused from Landlock "):
        return "refused" if landlock.version() >= int(cell.rpartition(" ")[2]) else "possible"
    return cell


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_stored_original_is_read_only_by_a_child_that_cannot_change_it(folder: Path, system: str) -> None:
    need(system)
    stored = folder / "stored"
    os.link(folder / "original", stored)
    before, body = stored.stat(), stored.read_bytes()
    said = run(folder, "attack_source", SYSTEMS[system])
    if SYSTEMS[system]:
        assert said == ["unavailable The process of an image could not work: cannot be confined: original is writable"]
        assert not (folder / "out" / escapes.REPORT).exists()
    else:
        assert said == ["not_an_image all escapes were tried"]
        assert report(folder) == dict.fromkeys(escapes.attacks(stored, stored), "refused")
    assert stored.read_bytes() == body
    after = stored.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns, after.st_nlink) == (
        before.st_mode, before.st_mtime_ns, before.st_ctime_ns, 2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("version", "has_filter", "is_protected"), [(3, True, True), (7, True, True), (2, True, False), (3, False, False)]
)
def test_originals_are_shared_where_both_features_protect_them(
    monkeypatch: pytest.MonkeyPatch, version: int, has_filter: bool, is_protected: bool
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)
    monkeypatch.setattr(seccomp, "available", lambda: has_filter)
    assert confinement.protects_source() is is_protected


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_descendants_end_with_their_image(folder: Path, system: str) -> None:
    """A process in a session of its own outlives the image where fork is not refused; the page says so."""
    need(system)
    assert run(folder, "leave_descendants", SYSTEMS[system]) == ["not_an_image descendants were tried"]
    pids = {
        name: int((folder / "out" / name).read_text())
        for name in ("group", "session")
        if (folder / "out" / name).exists()
    }
    try:
        if "seccomp" not in SYSTEMS[system]:
            assert pids == {}
        else:
            eventually(lambda: not alive(pids["group"]))
            assert alive(pids["session"])
    finally:
        for pid in filter(alive, pids.values()):
            os.kill(pid, signal.SIGKILL)
    cell = dict(zip(SYSTEMS, next(row[1:] for row in rows() if row[0] == "leave a process behind"), strict=True))[
        system
    ]
    assert cell == ("possible" if pids else "refused")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killed", "features"), [("worker", ()), ("worker", ("parent-death signal",)), ("fork server", ())]
)
def test_a_child_ends_when_its_worker_or_fork_server_is_killed(
    folder: Path, features: tuple[str, ...], killed: str
) -> None:
    """Its deadline is minutes away. Without the signal, as on macOS, it watches the worker's pipe."""
    program = start(folder, "wait_and_tell", features, seconds=600)
    pids = folder / "out" / "pids"
    try:
        eventually(lambda: pids.exists() and pids.read_text().endswith("\n"))
        child, server = map(int, pids.read_text().split())
        os.kill(program.pid if killed == "worker" else server, signal.SIGKILL)
        eventually(lambda: not alive(child))
    finally:
        program.kill()
        program.communicate()
    eventually(lambda: not alive(server))


@pytest.mark.parametrize("work", ["fill_in_pieces", "fill_with_names"])
def test_a_disk_is_not_filled(folder: Path, work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "MAX_OUTPUT", 64 * 1024 * 1024)
    with pytest.raises(ImageError) as failure:
        Sandbox(60, 1024, work=getattr(escapes, work)).process(folder / "original", folder / "out", JOB)
    assert failure.value.code == "crashed"


@pytest.mark.slow
def test_a_child_holds_nothing_that_it_does_not_need(folder: Path) -> None:
    need("Landlock and seccomp")
    assert run(folder, "tell_state") == ["not_an_image told"]
    state = report(folder)
    assert state["NoNewPrivs"] == "1"
    assert state["Seccomp"] == "2"
    assert int(state["CapEff"], 16) in {0, 2}
    assert sorted(state["descriptors"].split()) == ["1", "2", "2", "2"]  # the pipe of its answer, and /dev/null
    assert int(state["processes"]) != resource.RLIM_INFINITY


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has a second calling convention")
def test_a_call_by_another_convention_is_the_end(folder: Path) -> None:
    need("seccomp alone")
    assert run(folder, "call_as_32_bit", ("landlock",)) == ["crashed The image made its decoder crash."]
    assert run(folder, "call_as_32_bit", ("landlock", "seccomp")) == ["not_an_image the call was answered"]


def alive(pid: int) -> bool:
    """Return True if the process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
