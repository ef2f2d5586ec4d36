"""Sandbox: a hostile image never crashes, hangs or fills the process that asked for it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app.domain.errors import ImageError, Unavailable
from app.domain.recipe import DEFAULT_RECIPE
from app.worker.jobs import Job
from app.worker.sandbox.child import Work
from app.worker.sandbox.parent import Sandbox
from tests.samples import encoded, image_file
from tests.tiers import smoke
from tests.worker import stubs
from tests.worker.conftest import SMALL

JOB = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10_000_000, max_frames=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "original").write_bytes(encoded())
    (tmp_path / "out").mkdir()
    return tmp_path


def attempt(folder: Path, work: Work, seconds: float = 60, memory_mb: int = 1024) -> str:
    """Return the code an image fails with, or `ready`."""
    sandbox = Sandbox(seconds, memory_mb, work=work)
    try:
        sandbox.process(folder / "original", folder / "out", JOB)
    except ImageError as error:
        return str(error.code)
    return "ready"


@pytest.mark.parametrize("work", [stubs.sleep, stubs.spin_without_python, stubs.write_half, stubs.write_for_ever])
def test_a_hang_ends_at_the_deadline(folder: Path, work: Work) -> None:
    assert attempt(folder, work, seconds=0.4) == "timeout"


@pytest.mark.parametrize("work", [stubs.crash, stubs.leave, stubs.raise_oddly, stubs.fill_the_disk])
def test_a_crash_is_a_fault_of_the_image(folder: Path, work: Work) -> None:
    assert attempt(folder, work) == "crashed"


def test_memory_is_bounded(folder: Path) -> None:
    assert attempt(folder, stubs.eat, memory_mb=256) == "memory"


def test_a_crash_is_logged_with_its_location_only(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert attempt(folder, stubs.raise_oddly) == "crashed"
    (line,) = caplog.records
    assert re.fullmatch(r"ZeroDivisionError: child\.py:\d+ _answer > stubs\.py:\d+ raise_oddly", line.__dict__["where"])
    assert "deep in a decoder" not in str(line.__dict__)


def test_a_child_reports_its_peak_of_memory(folder: Path) -> None:
    processed = Sandbox(60, 1024).process(folder / "original", folder / "out", JOB)
    assert processed.memory_mb is not None
    assert 10 < processed.memory_mb < 300


def test_an_image_whose_process_was_killed_is_tried_once_more(folder: Path) -> None:
    def kill() -> None:
        process = wait_for_pid(folder)
        (folder / "original").chmod(0o400)
        os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    assert attempt(folder, stubs.wait_for_the_kill) == "ready"
    killer.join()
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["w16.webp", "w32.webp"]


def test_a_second_kill_is_a_crash(folder: Path) -> None:
    assert attempt(folder, stubs.kill_self) == "crashed"


@pytest.mark.parametrize(
    "work",
    [stubs.write_a_pickle, stubs.link_to_secret, stubs.link_twice, stubs.name_another_file, stubs.claim_other_size],
)
def test_an_answer_is_checked(folder: Path, work: Work) -> None:
    assert attempt(folder, work) == "crashed"
    assert not Path("pwned").exists()


def test_a_scratch_folder_that_cannot_be_written_is_an_internal_error(folder: Path) -> None:
    (folder / "out" / "w32.webp").mkdir()
    with pytest.raises(Unavailable):
        Sandbox(60, 1024).process(folder / "original", folder / "out", JOB)


PROGRAM = """
import sys, tempfile
from pathlib import Path

print("runs as", __name__, flush=True)

if __name__ == "__main__":
    from app.worker.jobs import Job
    from app.worker.sandbox.parent import Sandbox
    from tests.worker import stubs
    from tests.worker.conftest import SMALL

    job = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10**6, max_frames=1)
    sandbox = Sandbox(60, 1024, work=getattr(stubs, sys.argv[1]))
    sandbox.process(Path(sys.argv[2], "original"), Path(sys.argv[2], "out"), job)
    print("done")
"""


ASKING = """
import os, sys
from pathlib import Path

from app.domain.errors import ImageError
from app.worker.jobs import Job
from app.worker.sandbox.parent import Sandbox
from tests.worker import stubs
from tests.worker.conftest import SMALL

job = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10**6, max_frames=1)
try:
    Sandbox(60, 1024, work=stubs.list_variables).process(Path(sys.argv[1], "original"), Path(sys.argv[1], "out"), job)
except ImageError as error:
    print(error.detail)
print(os.environ["AWS_SESSION_TOKEN"], os.environ["PYTHONPATH"])
"""


@pytest.mark.slow
def test_a_child_does_not_inherit_secrets(folder: Path) -> None:
    """Nor does it find them in the environment of its parents."""
    given = {"AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "t", "DARKROOM_SECRET": "x" * 16, "DB_PASSWORD": "x"}
    environment = os.environ | given | {"PYTHONPATH": str(Path(__file__).parents[3]), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-c", ASKING, str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=True, timeout=120)
    names, after = out.stdout.splitlines()
    assert {"PATH", "PYTHONPATH", "LC_ALL"} <= set(names.split())
    assert not {name for name in names.split() if name.startswith(("AWS", "DARKROOM", "DB", "PYTEST_CURRENT"))}
    assert after == f"t {environment['PYTHONPATH']}"


WITHOUT_LINUX = """
import os, signal, sys
from pathlib import Path

for name in ("waitid", "sched_getaffinity", "O_PATH", "memfd_create"):
    delattr(os, name)

from app.domain.errors import ImageError, Unavailable
from app.worker import process
from app.worker.jobs import Job
from app.worker.sandbox import fork_server
from app.worker.sandbox.parent import Sandbox
from tests.worker import stubs
from tests.worker.conftest import SMALL

job = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10**6, max_frames=1)
folder = Path(sys.argv[1])
sandbox = Sandbox(60, 1024, work=stubs.list_variables)
(folder / "out").mkdir(exist_ok=True)
for number in range(3):
    told = False
    while not told:
        try:
            sandbox.process(folder / "original", folder / "out", job)
        except Unavailable:  # the fork server was just being killed
            continue
        except ImageError as error:
            told = True
            print("DARKROOM_SECRET" in error.detail, "PATH" in error.detail)
    if number:
        os.kill(fork_server.pid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_system_without_functions_of_linux_works(folder: Path) -> None:
    """Python on macOS lacks them, `os.waitid` until 3.13. A fork server that was killed is replaced by a clean one."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "DARKROOM_SECRET": "x" * 16}
    command = [sys.executable, "-c", WITHOUT_LINUX, str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False, timeout=120)
    assert out.stdout.splitlines() == ["False True"] * 3, out.stderr


@pytest.mark.slow
def test_decoders_do_not_write_to_the_log(folder: Path) -> None:
    code = PROGRAM.replace("sandbox.process", "sandbox.start(); sandbox.process")
    (folder / "program.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(folder / "program.py"), "chatter", str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=True, timeout=120)
    assert (out.stdout, out.stderr) == ("runs as __main__\ndone\n", "")


LARGE = {
    "image/png": ("PNG", {"compress_level": 1}),
    "image/jpeg": ("JPEG", {"progressive": True}),
    "image/webp": ("WEBP", {"method": 0}),
    "image/avif": ("AVIF", {"speed": 10}),
    "image/heic": ("HEIF", {"quality": 10}),
    "image/tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "image/gif": ("GIF", {}),
    "image/bmp": ("BMP", {}),
}


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not bound a process's address space")
@pytest.mark.parametrize("media_type", smoke(LARGE, 2))
def test_lack_of_memory_is_distinguished_from_a_broken_image(folder: Path, media_type: str) -> None:
    file_format, options = LARGE[media_type]
    picture = Image.effect_noise((60, 50), 90).convert("RGB").resize((3000, 2500), Image.Resampling.NEAREST)
    picture.save(folder / "original", file_format, **options)
    job = JOB.model_copy(update={"media_type": media_type})

    def ending(memory_mb: int) -> str:
        with pytest.raises(ImageError) as failure:
            Sandbox(60, memory_mb, work=stubs.skip_the_check).process(folder / "original", folder / "out", job)
        return str(failure.value.code)

    assert ending(16) == "memory"
    whole = (folder / "original").read_bytes()
    (folder / "original").write_bytes(whole[: len(whole) * 2 // 3])
    assert ending(1024) == "corrupt_image"


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not bound a process's address space")
@pytest.mark.parametrize("size", [(60, 50), (2000, 1500)], ids=["to encode", "to read and resize"])
def test_no_memory_for_a_thread_is_lack_of_memory(folder: Path, size: tuple[int, int]) -> None:
    Image.radial_gradient("L").resize(size).convert("RGB").save(folder / "original", "PNG")
    job = JOB.model_copy(update={"media_type": "image/png", "threads": 2, "recipe": DEFAULT_RECIPE})
    with pytest.raises(ImageError) as failure:
        Sandbox(60, 1024, work=stubs.start_no_thread).process(folder / "original", folder / "out", job)
    assert failure.value.code == "memory"


def test_a_length_that_no_file_has_is_not_lack_of_memory(folder: Path) -> None:
    """The pixels that are in the file decide: all of them, or too few."""
    body = image_file("libspng__huge_IDAT.png").read_bytes().replace(b"\x3f\xff\xff\xff", b"\x7f\xff\xff\xff")
    job = JOB.model_copy(update={"media_type": "image/png"})
    (folder / "original").write_bytes(body)
    assert Sandbox(60, 1024).process(folder / "original", folder / "out", job).variants
    (folder / "original").write_bytes(body[: body.index(b"IDAT") + 8])
    with pytest.raises(ImageError) as failure:
        Sandbox(60, 1024).process(folder / "original", folder / "out", job)
    assert failure.value.code == "corrupt_image"


def program(folder: Path, work: str) -> subprocess.Popen[str]:
    """Start a program that processes one image, in a folder without any modules."""
    file = folder / "program.py"
    file.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(file), work, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)


@pytest.mark.slow
def test_children_do_not_run_the_program_again(folder: Path) -> None:
    running = program(folder, "process")
    out, _ = running.communicate(timeout=120)
    assert out.splitlines()[0] == "runs as __main__"
    assert out.count("runs as") == 1


def wait_for_pid(folder: Path) -> int:
    """Return the process id that `sleep_and_report` writes."""
    mark = folder / "out" / "pid"
    eventually(lambda: mark.exists() and mark.read_text().endswith("\n"))
    return int(mark.read_text())


def eventually(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_parent_loads_no_decoder() -> None:
    code = (
        "import app.worker.events, app.worker.queue_loop, app.worker.sandbox.parent, sys; print('PIL' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc to count descriptors in")
def test_nothing_is_left_behind(folder: Path, sandbox: Sandbox) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    sandbox.process(folder / "original", folder / "out", JOB)
    before = descriptors()
    for work in (stubs.leave, stubs.kill_self, stubs.write_half, stubs.write_a_pickle):
        attempt(folder, work, seconds=0.4)
    assert descriptors() == before
