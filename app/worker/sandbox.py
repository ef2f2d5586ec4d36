"""Each picture in a process of its own, so that none can hang, crash or fill this one.

A fork server holds the loaded codecs; a child is forked from it per picture. Pipes and files only: AWS Lambda has no
`/dev/shm`, so no semaphores, and nothing is unpickled that a child has sent.
"""

import logging
import multiprocessing
import os
import re
import select
import shutil
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from app.domain.errors import PictureError, Unavailable
from app.domain.models import FailureCode
from app.worker import child
from app.worker.jobs import Answer, Developed, Job, answers

log = logging.getLogger(__name__)

#: The most that a child may say, in bytes.
_MAX_ANSWER = 256 * 1024
#: What multiprocessing reports when the fork server was gone before its child.
_NO_SERVER = 255
#: Variables that children may see: where programs and libraries are, language, zone, and the interpreter's own.
_NEEDED = re.compile(r"(PATH|HOME|LANG|LC_\w+|LD_\w+|TZ|TMPDIR|MALLOC_\w+|PYTHON\w+)$")
#: For glibc. Threads share one heap: it would reserve up to 128 MB of address space for each, out of what the picture
#: may have. And what is freed stays for what comes next (32 MiB is the most that the first of these takes): returned
#: to the system and asked for again, the pictures in between cost 8,000 page faults, a tenth of a 12 MP job's CPU.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024),
}
_OUT_OF_TIME = frozenset({signal.SIGALRM, signal.SIGXCPU})

#: How long a child may take to end that has said all it had to say, and the fork server to tell us of it: on a machine
#: with ten times more to do than it can, half a second was too little, and a good picture was called a crash.
_EXIT_SECONDS = 5
#: How long the kernel may take to end what was killed: a process may sit in a disk's driver.
_KILL_SECONDS = 5

_main_lock = threading.Lock()


class Sandbox:
    """Develops pictures in child processes that get `seconds` of wall time and `memory_mb` beyond what codecs need.

    `work` is what a child runs: a function that can be imported by its name.
    """

    def __init__(self, seconds: float, memory_mb: int, *, work: child.Work = child.develop_picture) -> None:
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._work = work
        self._context = multiprocessing.get_context("forkserver")
        self._running: ForkServerProcess | None = None

    def start(self) -> None:
        """Start the fork server, so that the first picture need not wait for it. It ends with this process."""
        self._context.set_forkserver_preload(["app.worker.develop", "app.worker.confine", "app.worker.child"])
        with _no_main_module():
            if not _server_runs():
                with _environment_of_children():
                    forkserver.ensure_running()

    def close(self) -> None:
        """End the child that is running, if any."""
        process = self._running
        if process is not None and process.is_alive():
            process.kill()

    def develop(self, source: Path, out: Path, job: Job) -> Developed:
        """Develop the picture in `source` into files in the empty folder `out`.

        Raises `PictureError` for what the picture is to blame for, a crash, hang or want of memory included, and
        `Unavailable` when no child could do its work.
        """
        job = job.model_copy(update={"seconds": self._seconds, "memory_mb": self._memory_mb})
        try:
            return self._attempt(source, out, job)
        except _Killed:
            log.warning("a picture's process was killed from outside; trying once more")
        shutil.rmtree(out)
        out.mkdir()
        try:
            return self._attempt(source, out, job)
        except _Killed:
            raise PictureError(FailureCode.CRASHED, child.CRASHED) from None

    def _attempt(self, source: Path, out: Path, job: Job) -> Developed:
        ours, theirs = self._context.Pipe(duplex=False)
        with ours:
            with theirs:  # our copy must be closed, or the end of the child would not end the pipe
                process = self._launch(theirs, source, out, job)
            said = None
            try:
                said = _read(ours, time.monotonic() + self._seconds)
            finally:
                ended = _end(process, patience=_EXIT_SECONDS if said is not None else 0)
                self._running = None
        return _judge(said, ended, out, job)

    def _launch(self, theirs: Connection, source: Path, out: Path, job: Job) -> ForkServerProcess:
        self.start()
        arguments = (self._work, theirs, str(source), str(out), job.model_dump_json())
        process = self._context.Process(target=child.live, args=arguments, daemon=True)
        try:
            with _no_main_module():
                process.start()
        except (OSError, EOFError) as error:
            raise Unavailable(f"No process for a picture: {error}") from error
        self._running = process
        return process


class _Killed(Exception):
    """The child was ended by a SIGKILL that was not ours: the system was short of memory, or an operator acted."""


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide `__main__` while a process is started.

    multiprocessing would have each child import the program that runs us: hundreds of milliseconds a picture, and
    whatever it does when imported. Children need none of it, for their work is imported by its own name.
    """
    with _main_lock:
        actual = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = actual


def _server_runs() -> bool:
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001 - no public way to ask
    try:
        return pid is not None and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


@contextmanager
def _environment_of_children() -> Iterator[None]:
    """Only what a process needs to run, so that no picture can read a key or a secret out of its environment.

    And where modules are: Python 3.11's fork server would look in the current folder alone.
    """
    before = dict(os.environ)
    kept = ALLOCATOR | {name: value for name, value in before.items() if _NEEDED.match(name)}
    paths = dict.fromkeys(os.path.abspath(part) for part in sys.path)  # noqa: PTH100 - '' is a path here
    kept["PYTHONPATH"] = os.pathsep.join(paths)
    try:
        for name in before.keys() - kept.keys():
            del os.environ[name]
        os.environ.update(kept)
        yield
    finally:
        for name in kept.keys() - before.keys():
            os.environ.pop(name, None)
        os.environ.update(before)


def _read(pipe: Connection, deadline: float) -> bytes | None:
    """All that the child says until it closes its end; None if it has not by the deadline or will not stop."""
    said = bytearray()
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLIN)
    while len(said) <= _MAX_ANSWER:
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            return None
        data = os.read(pipe.fileno(), 65536)
        if not data:
            return bytes(said)
        said += data
    return None


def _end(process: ForkServerProcess, *, patience: float) -> int | None:
    """The child's exit code if it ends by itself within so many seconds, None if we had to kill it."""
    process.join(patience)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join(_KILL_SECONDS)
    if process.exitcode is not None:
        process.close()
    return code


def _judge(said: bytes | None, ended: int | None, out: Path, job: Job) -> Developed:
    if said is None or (ended is not None and -ended in _OUT_OF_TIME):
        raise PictureError(FailureCode.TIMEOUT, f"The picture took longer than {job.seconds:g} seconds.")
    if ended in {-signal.SIGKILL, _NO_SERVER}:
        raise _Killed
    if ended != 0:
        log.warning("a picture's process crashed", extra={"exit_code": ended})
        raise PictureError(FailureCode.CRASHED, child.CRASHED)
    try:
        answer = Answer.model_validate_json(said)
    except ValidationError:
        log.warning("a picture's process gave no proper answer")
        raise PictureError(FailureCode.CRASHED, child.CRASHED) from None
    if answer.fault is not None:
        raise Unavailable(f"A picture's process could not work: {answer.fault}")
    if answer.refused is not None:
        if answer.refused.where is not None:
            log.warning("a decoder failed in a way that nobody foresaw", extra={"where": answer.refused.where})
        raise PictureError(answer.refused.code, answer.refused.detail)
    developed = answer.developed
    if developed is None or not answers(job.recipe, developed) or not _files_are_there(developed, out):
        log.warning("a picture's process answered with other files than it was asked for")
        raise PictureError(FailureCode.CRASHED, child.CRASHED)
    return developed


def _files_are_there(developed: Developed, out: Path) -> bool:
    """Whether each variant is a plain file of the stated size: a link could lead to anything this process can read."""
    for variant in developed.variants:
        try:
            status = (out / variant.file).lstat()
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size != variant.bytes:
            return False
    return True
