"""Functions for a hijacked child process. Run by name in sandboxed processes."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.jobs import Job, Processed
from app.worker.pipeline import header
from app.worker.pipeline.steps import process_image


def sleep(source: Path, out: Path, job: Job) -> Processed:
    while True:
        time.sleep(60)


def spin_without_python(source: Path, out: Path, job: Job) -> Processed:
    """Hold the interpreter's lock, like a decoder in an endless loop."""
    ctypes.PyDLL(None).sleep(600)
    raise AssertionError


def crash(source: Path, out: Path, job: Job) -> Processed:
    ctypes.string_at(0)
    raise AssertionError


def leave(source: Path, out: Path, job: Job) -> Processed:
    os._exit(3)


def raise_oddly(source: Path, out: Path, job: Job) -> Processed:
    raise ZeroDivisionError("deep in a decoder")


def eat(source: Path, out: Path, job: Job) -> Processed:
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def kill_self(source: Path, out: Path, job: Job) -> Processed:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def wait_for_the_kill(source: Path, out: Path, job: Job) -> Processed:
    """Wait to be killed in the first attempt, process in the second: `original` is then read-only."""
    if source.stat().st_mode & 0o777 != 0o400:
        (out / "w32.webp").write_bytes(b"half a file")
        return sleep_and_report(source, out, job)
    return process_image(source, out, job)


def write_for_ever(source: Path, out: Path, job: Job) -> Processed:
    write_answer(b"x" * 65536, times=1_000_000)
    raise AssertionError


def write_half(source: Path, out: Path, job: Job) -> Processed:
    write_answer(b'{"processed": {"width"')
    return sleep(source, out, job)


def write_a_pickle(source: Path, out: Path, job: Job) -> Processed:
    write_answer(b"cos\nsystem\n(S'touch pwned'\ntR.")
    os._exit(0)


def link_to_secret(source: Path, out: Path, job: Job) -> Processed:
    made = process_image(source, out, job)
    file = out / made.variants[0].file
    file.unlink()
    file.symlink_to(source)
    return made


def link_twice(source: Path, out: Path, job: Job) -> Processed:
    made = process_image(source, out, job)
    os.link(out / made.variants[0].file, out / "twin")
    return made


def skip_the_check(source: Path, out: Path, job: Job) -> Processed:
    """Process what would have been refused by its header, to see how its decoder fails."""
    header.check_memory = lambda *_: None
    return process_image(source, out, job)


def start_no_thread(source: Path, out: Path, job: Job) -> Processed:
    """Process where no thread's stack fits into the bound."""
    threading.stack_size(1 << 40)
    return process_image(source, out, job)


def list_variables(source: Path, out: Path, job: Job) -> Processed:
    found = set(os.environ)
    for process in ("self", str(os.getppid())):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            found |= {line.partition(b"=")[0].decode() for line in lines}
    raise ImageError(FailureCode.NOT_AN_IMAGE, " ".join(sorted(found))[:500])


def chatter(source: Path, out: Path, job: Job) -> Processed:
    for standard in (1, 2):
        os.write(standard, b"what a decoder has to say\n")
    return process_image(source, out, job)


def name_another_file(source: Path, out: Path, job: Job) -> Processed:
    made = process_image(source, out, job)
    (out / "other.webp").write_bytes(b"1234")
    wrong = made.variants[0].model_copy(update={"name": "other", "file": "other.webp", "bytes": 4})
    return made.model_copy(update={"variants": [wrong, *made.variants[1:]]})


def claim_other_size(source: Path, out: Path, job: Job) -> Processed:
    made = process_image(source, out, job)
    wrong = made.variants[0].model_copy(update={"bytes": made.variants[0].bytes + 1})
    return made.model_copy(update={"variants": [wrong, *made.variants[1:]]})


def fill_the_disk(source: Path, out: Path, job: Job) -> Processed:
    with (out / "huge").open("wb") as file:
        file.truncate(1 << 40)
    raise AssertionError


def tell_pid(source: Path, out: Path, job: Job) -> Processed:
    raise ImageError(FailureCode.NOT_AN_IMAGE, str(os.getpid()))


def sleep_and_report(source: Path, out: Path, job: Job) -> Processed:
    (out / "pid").write_text(f"{os.getpid()}\n")
    return sleep(source, out, job)


def write_answer(text: bytes, times: int = 1) -> None:
    """Write into the answer's pipe, found as hostile code in the process would find it."""
    frame = sys._getframe()
    while "pipe" not in frame.f_locals:
        assert frame.f_back
        frame = frame.f_back
    for _ in range(times):
        os.write(frame.f_locals["pipe"].fileno(), text)
