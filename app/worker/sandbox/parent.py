"""One child process per image, so that no image can hang, crash or fill this process.

A fork server holds the loaded codecs; a child is forked from it per image. Pipes and files only: AWS Lambda has no
`/dev/shm`, so no semaphores, and nothing is unpickled that a child has sent.
"""

import logging
import multiprocessing
import os
import select
import shutil
import signal
import stat
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from pydantic import ValidationError

from app.domain.errors import ImageError, Unavailable
from app.domain.models import FailureCode
from app.worker.jobs import Answer, Job, Processed, answers
from app.worker.sandbox import child, fork_server

log = logging.getLogger(__name__)

#: The longest answer of a child, in bytes.
_MAX_ANSWER = 256 * 1024
#: The most bytes and files that a child may leave in its folder, and the seconds between two looks at it.
MAX_OUTPUT = 1024 * 1024 * 1024
MAX_FILES = 1024
_LOOK_SECONDS = 0.25
#: What multiprocessing reports when the fork server was gone before its child.
_NO_SERVER = 255
_OUT_OF_TIME = frozenset({signal.SIGALRM, signal.SIGXCPU})

#: How long a child may take to end that has said all it had to say, and the fork server to tell us of it: on a machine
#: with ten times more to do than it can, half a second was too little, and a good picture was called a crash.
_EXIT_SECONDS = 5
#: How long the kernel may take to end what was killed: a process may sit in a disk's driver.
_KILL_SECONDS = 5


class Sandbox:
    """Processes pictures in child processes that get `seconds` of wall time and `memory_mb` beyond what codecs need.

    `work` is what a child runs: a function that can be imported by its name.
    """

    def __init__(self, seconds: float, memory_mb: int, *, work: child.Work = child.process_image) -> None:
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._work = work
        self._context = multiprocessing.get_context("forkserver")
        self._running: ForkServerProcess | None = None

    def start(self) -> None:
        """Start the fork server, so that the first picture need not wait for it. It ends with this process."""
        fork_server.start()

    def close(self) -> None:
        """End the child that is running, if any."""
        process = self._running
        if process is not None and process.is_alive():
            _kill(process, ended=False)

    def process(self, source: Path, out: Path, job: Job) -> Processed:
        """Process the picture in `source` into files in the empty folder `out`.

        Raises `ImageError` for what the picture is to blame for, a crash, hang or want of memory included, and
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
            raise ImageError(FailureCode.CRASHED, child.CRASHED) from None

    def _attempt(self, source: Path, out: Path, job: Job) -> Processed:
        ours, theirs = self._context.Pipe(duplex=False)
        with ours:
            with theirs:  # our copy must be closed, or the end of the child would not end the pipe
                process = self._launch(theirs, source, out, job)
            said = None
            try:
                said = _read(ours, time.monotonic() + self._seconds, out)
            finally:
                ended = _end(process, patience=_EXIT_SECONDS if said is not None else 0)
                self._running = None
        return _judge(said, ended, out, job)

    def _launch(self, theirs: Connection, source: Path, out: Path, job: Job) -> ForkServerProcess:
        self.start()
        arguments = (self._work, theirs, str(source), str(out), job.model_dump_json())
        process = self._context.Process(target=child.live, args=arguments, daemon=True)
        try:
            with fork_server.no_main_module():
                process.start()
        except (OSError, EOFError) as error:
            raise Unavailable(f"No process for a picture: {error}") from error
        self._running = process
        return process


class _Killed(Exception):
    """The child was ended by a SIGKILL that was not ours: the system was short of memory, or an operator acted."""


def _read(pipe: Connection, deadline: float, out: Path) -> bytes | None:
    """Return all that the child writes until it closes its end; None if it does not stop or writes too many files."""
    said = bytearray()
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLIN)
    look = time.monotonic() + _LOOK_SECONDS
    while len(said) <= _MAX_ANSWER:
        now = time.monotonic()
        if now >= deadline:
            return None
        if now >= look:
            look = now + _LOOK_SECONDS
            if _is_too_much(out):
                raise ImageError(FailureCode.CRASHED, child.CRASHED)
        if not poller.poll(max(min(deadline, look) - now, 0) * 1000):
            continue
        data = os.read(pipe.fileno(), 65536)
        if not data:
            return bytes(said)
        said += data
    return None


def _is_too_much(out: Path) -> bool:
    """Return True if a child has written more into its folder than any recipe asks for."""
    written = files = 0
    for folder, _, names in os.walk(out):
        for name in names:
            files += 1
            with suppress(OSError):
                written += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118 - many names, quickly
            if files > MAX_FILES or written > MAX_OUTPUT:
                log.warning("an image's process wrote too much", extra={"files": files, "bytes": written})
                return True
    return False


def _end(process: ForkServerProcess, *, patience: float) -> int | None:
    """Return the child's exit code if it ends by itself within so many seconds, None if it had to be killed.

    Its process group is killed in any case: where system calls are not filtered, it may have descendants.
    """
    process.join(patience)
    code = process.exitcode
    _kill(process, ended=code is not None)
    process.join(_KILL_SECONDS)
    if process.exitcode is not None:
        process.close()
    return code


def _kill(process: ForkServerProcess, *, ended: bool) -> None:
    if process.pid is not None:
        with suppress(OSError):  # no such group: it ended without descendants, or was not yet a leader
            os.killpg(process.pid, signal.SIGKILL)
    if not ended:
        process.kill()


def _judge(said: bytes | None, ended: int | None, out: Path, job: Job) -> Processed:
    if said is None or (ended is not None and -ended in _OUT_OF_TIME):
        raise ImageError(FailureCode.TIMEOUT, f"The picture took longer than {job.seconds:g} seconds.")
    if ended in {-signal.SIGKILL, _NO_SERVER}:
        raise _Killed
    if ended != 0:
        log.warning("a picture's process crashed", extra={"exit_code": ended})
        raise ImageError(FailureCode.CRASHED, child.CRASHED)
    try:
        answer = Answer.model_validate_json(said)
    except ValidationError:
        log.warning("a picture's process gave no proper answer")
        raise ImageError(FailureCode.CRASHED, child.CRASHED) from None
    if answer.fault is not None:
        raise Unavailable(f"A picture's process could not work: {answer.fault}")
    if answer.refused is not None:
        if answer.refused.where is not None:
            log.warning("a decoder failed in a way that nobody foresaw", extra={"where": answer.refused.where})
        raise ImageError(answer.refused.code, answer.refused.detail)
    processed = answer.processed
    if processed is None or not answers(job.recipe, processed) or not _files_are_there(processed, out):
        log.warning("a picture's process answered with other files than it was asked for")
        raise ImageError(FailureCode.CRASHED, child.CRASHED)
    return processed


def _files_are_there(processed: Processed, out: Path) -> bool:
    """Whether each variant is a plain file of the stated size: a link could lead to anything this process can read."""
    for variant in processed.variants:
        try:
            status = (out / variant.file).lstat()
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size != variant.bytes:
            return False
    return True
