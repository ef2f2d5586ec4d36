"""Sandbox: a child process for each image, so that no image can hang, crash or fill this process.

A fork server holds the loaded codecs and forks a child for each image. Parent and child share pipes and files only.
There are no semaphores, because AWS Lambda has no `/dev/shm`. Nothing that a child sends is unpickled.
"""

import logging
import math
import os
import select
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from app.domain.errors import ImageError, Unavailable
from app.domain.models import FailureCode
from app.worker.jobs import Answer, Job, Order, Processed, matches_recipe
from app.worker.sandbox import child, fork_server
from app.worker.sandbox.process import ChildProcess
from app.worker.sandbox.spares import Spare, Spares

log = logging.getLogger(__name__)

#: Longest answer of a child, in bytes.
_MAX_ANSWER = 256 * 1024
#: Bytes and files in a child's folder, at most, and the seconds between two checks.
MAX_OUTPUT = 1024 * 1024 * 1024
MAX_FILES = 1024
_CHECK_SECONDS = 0.25
#: Exit code that multiprocessing reports when the fork server ended before its child.
_NO_SERVER = 255
_OUT_OF_TIME = frozenset({signal.SIGALRM, signal.SIGXCPU})

#: Memory bound in MB of a process that reads a header only.
HEADER_MB = 256
#: What a bound has in addition to the estimate, as a factor and in MB.
_MARGIN, _MARGIN_MB = 1.1, 16

#: Seconds for a child that has answered to exit and for the fork server to report it. Half a second was too little on a
#: machine with ten times more load than capacity: a good image was called a crash.
_EXIT_SECONDS = 5


class Sandbox:
    """Processes images in child processes with `seconds` of wall time and `memory_mb` in addition to the codecs.

    Several threads may use it at the same time. `work` is the function that a child runs; it must be importable by its
    name. `spares` are children that have been started for it.
    """

    def __init__(
        self, seconds: float, memory_mb: int, *, work: child.Work = child.process_image, spares: Spares | None = None
    ) -> None:
        self.memory_mb = memory_mb
        self._seconds = seconds
        self._work = work
        self._spares = spares
        self._lock = threading.Lock()
        self._running: set[ChildProcess] = set()
        self._reserved: dict[Path, Spare] = {}

    def busy(self) -> int:
        """Return the number of running children."""
        with self._lock:
            return len(self._running)

    def start(self) -> None:
        """Start the fork server, so that the first image need not wait for it. It ends with this process."""
        fork_server.start()
        if self._spares:
            self._spares.start()

    def close(self) -> None:
        """End the running children."""
        if self._spares:
            self._spares.close()
        with self._lock:
            for running in self._running:
                running.kill()

    @contextmanager
    def workspace(self, scratch: Path) -> Iterator[tuple[Path, Path]]:
        """Yield a name for an image and an empty folder for its files, for `process`. Both are removed afterwards.

        They are those of a spare if there is one, or new ones in `scratch`.
        """
        spare = self._spares.take() if self._spares else None
        if self._spares is None or spare is None:
            with tempfile.TemporaryDirectory(dir=scratch, prefix="image-", ignore_cleanup_errors=True) as folder:
                out = Path(folder, "out")
                out.mkdir()
                yield Path(folder, "source"), out
            return
        with self._lock:
            self._reserved[spare.out] = spare
        try:
            yield spare.source, spare.out
        finally:
            with self._lock:
                self._reserved.pop(spare.out, None)
            self._spares.give_back(spare)

    def process(self, source: Path, out: Path, job: Job, *, memory_mb: int | None = None) -> Processed:
        """Process the image in `source` into files in the empty folder `out`, with another bound of memory if given.

        Raises `ImageError` for faults of the image, including a crash, a timeout and lack of memory, and `Unavailable`
        if no child could work.
        """
        job = self._with_limits(job, memory_mb or self.memory_mb)
        answer = self._answer(self._work, source, out, job)
        processed = answer.processed
        if processed is None or not matches_recipe(job.recipe, processed) or not _has_files(processed, out):
            log.warning("the process of an image answered with other files than requested")
            raise ImageError(FailureCode.CRASHED, child.CRASHED)
        return processed

    def estimate(self, source: Path, out: Path, job: Job) -> int:
        """Return the bound of memory in MB that processing the image needs, estimated from its header.

        It is the whole bound if the estimate needs more memory than a header should. Raises as `process` does.
        """
        job = self._with_limits(job, self.memory_mb)
        try:
            answer = self._answer(child.estimate_memory, source, out, job, memory_mb=min(HEADER_MB, self.memory_mb))
        except ImageError as error:
            if error.code != FailureCode.MEMORY:
                raise
            return self.memory_mb
        if answer.needed_mb is None:
            raise ImageError(FailureCode.CRASHED, child.CRASHED)
        return min(self.memory_mb, math.ceil(answer.needed_mb * _MARGIN) + _MARGIN_MB)

    def _with_limits(self, job: Job, memory_mb: int) -> Job:
        return job.model_copy(update={"seconds": self._seconds, "memory_mb": memory_mb})

    def _answer(self, work: child.Work, source: Path, out: Path, job: Job, *, memory_mb: int | None = None) -> Answer:
        """Have a child work, once more if it is killed from outside. Its bound is `memory_mb` or that of the job."""
        bound = memory_mb or job.memory_mb
        try:
            return self._attempt(work, source, out, job, bound)
        except _Killed:
            log.warning("the process of an image was killed from outside; trying once more")
        empty(out)
        try:
            return self._attempt(work, source, out, job, bound)
        except _Killed:
            raise ImageError(FailureCode.CRASHED, child.CRASHED) from None

    def _attempt(self, work: child.Work, source: Path, out: Path, job: Job, bound: int) -> Answer:
        order = Order(job=job, source=str(source), memory_mb=bound)
        with self._lock:
            spare = self._reserved.pop(out, None) if work is self._work else None
        if spare is not None:
            return self._carry_out(spare.process, order, wait=False)
        return self._carry_out(ChildProcess(work, source, out), order)

    def _carry_out(self, process: ChildProcess, order: Order, *, wait: bool = True) -> Answer:
        """Have a child carry out an order. Without `wait`, its end after a valid answer is left to the caller."""
        with self._lock:
            self._running.add(process)
        answer_json, answer = None, None
        exit_code: int | None = 0
        try:
            is_given = process.order(order)
            answer_json = _read(process.answers, time.monotonic() + self._seconds, process.out) if is_given else b""
            answer = _parse(answer_json)
        finally:
            if answer is None or wait:
                exit_code = process.end(patience=_EXIT_SECONDS if answer_json is not None else 0)
            else:
                process.kill()
            with self._lock:
                self._running.discard(process)
        if answer_json is None or (exit_code is not None and -exit_code in _OUT_OF_TIME):
            raise ImageError(
                FailureCode.TIMEOUT, f"Processing the image took longer than {order.job.seconds:g} seconds."
            )
        return _check(answer, exit_code)


class _Killed(Exception):
    """The child was ended by a SIGKILL from outside: the system was short of memory, or an operator acted."""


def _read(pipe: int, deadline: float, out: Path) -> bytes | None:
    """Return all that the child writes until it closes its end; None after the deadline or `_MAX_ANSWER` bytes.

    Raises `ImageError` if the child fills its folder.
    """
    received = bytearray()
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    check = time.monotonic() + _CHECK_SECONDS
    while len(received) <= _MAX_ANSWER:
        now = time.monotonic()
        if now >= deadline:
            return None
        if now >= check:
            check = now + _CHECK_SECONDS
            if _is_full(out):
                raise ImageError(FailureCode.CRASHED, child.CRASHED)
        if not poller.poll(max(min(deadline, check) - now, 0) * 1000):
            continue
        data = os.read(pipe, 65536)
        if not data:
            return bytes(received)
        received += data
    return None


def _is_full(out: Path) -> bool:
    """Return True if a child has written more into its folder than any recipe needs."""
    written = files = 0
    for folder, _, names in os.walk(out):
        for name in names:
            files += 1
            with suppress(OSError):
                written += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118 - faster for many names
            if files > MAX_FILES or written > MAX_OUTPUT:
                log.warning("the process of an image wrote too much", extra={"files": files, "bytes": written})
                return True
    return False


def _parse(answer_json: bytes | None) -> Answer | None:
    """Return the answer of a child; None if it is not valid."""
    try:
        return Answer.model_validate_json(answer_json) if answer_json else None
    except ValidationError:
        return None


def _check(answer: Answer | None, exit_code: int | None) -> Answer:
    """Return the child's answer if it has done its work.

    Raises `ImageError` for faults of the image, `Unavailable` if the child could not work, and `_Killed`.
    """
    if exit_code in {-signal.SIGKILL, _NO_SERVER}:
        raise _Killed
    if exit_code != 0 or answer is None:
        log.warning("the process of an image crashed or gave no valid answer", extra={"exit_code": exit_code})
        raise ImageError(FailureCode.CRASHED, child.CRASHED)
    if answer.fault is not None:
        raise Unavailable(f"The process of an image could not work: {answer.fault}")
    if answer.refused is not None:
        if answer.refused.where is not None:
            log.warning("processing an image failed unexpectedly", extra={"where": answer.refused.where})
        raise ImageError(answer.refused.code, answer.refused.detail)
    return answer


def empty(out: Path) -> None:
    """Remove what a child has left in its folder. The folder stays: a spare can write into no other one."""
    with os.scandir(out) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry)
            else:
                os.unlink(entry)  # noqa: PTH108 - not a path


def _has_files(processed: Processed, out: Path) -> bool:
    """Return True if each variant is a plain file of the stated size. A link could lead to any file of this process."""
    for variant in processed.variants:
        try:
            status = (out / variant.file).lstat()
        except OSError:
            return False
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size != variant.bytes:
            return False
    return True
