"""Limits of an image's process: time, memory, files and threads."""

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from app.worker.jobs import THREAD_STACK, Job

#: Largest file that a child may write, in bytes.
MAX_FILE = 512 * 1024 * 1024
#: Open files of a child, at most.
MAX_OPEN = 256
#: Threads of this user that may start on this machine while an image is processed. Encoders start about ten an image.
SPARE_THREADS = 1024
#: Seconds after the parent's deadline at which a child ends itself.
ORPHANED = 1


def out_of_memory(memory_mb: int) -> str:
    """Return the error detail of an image that exceeds the memory bound."""
    return f"The image needs more than {memory_mb} MB of memory."


class Bounds:
    """Limits of this process: of files at once, of time, threads and memory when its job is known."""

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # kills, even inside a decoder
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_FSIZE, MAX_FILE)
        _limit(resource.RLIMIT_NOFILE, MAX_OPEN)
        threading.stack_size(THREAD_STACK)
        self._load = _open_load()  # later the process cannot open it
        self._most_threads = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        self._bounds_threads = self._limit_threads() and self._can_start_one()

    def set(self, job: Job, memory_mb: int) -> None:
        """Set the other limits, from now on."""
        seconds = job.seconds + ORPHANED
        signal.setitimer(signal.ITIMER_REAL, seconds)
        cpu = int(time.process_time() + seconds * job.threads) + 1
        _limit(resource.RLIMIT_CPU, cpu, cpu + 1)
        if self._bounds_threads:
            self._limit_threads()  # by the number of now
        if self._load is not None:
            os.close(self._load)
        base = _address_space()
        if base is not None:
            _limit(resource.RLIMIT_AS, base + memory_mb * 1_048_576)

    def _limit_threads(self) -> bool:
        """Forbid new processes on macOS, where threads do not count; limit the threads of this user on Linux.

        Linux counts all threads of the user on the machine, so the limit is above the number that the whole machine
        runs now. It does not apply to root. Returns False if there is no number.
        """
        if sys.platform == "darwin":
            _limit(resource.RLIMIT_NPROC, 0)
            return False
        with contextlib.suppress(OSError, ValueError, IndexError):
            if self._load is not None:
                running = int(os.pread(self._load, 256, 0).split()[3].partition(b"/")[2])
                _limit(resource.RLIMIT_NPROC, running + SPARE_THREADS, self._most_threads)
                return True
        return False

    def _can_start_one(self) -> bool:
        """Lift the limit if no thread can start. In some containers the number is not that of the machine."""
        try:
            probe = threading.Thread()
            probe.start()
            probe.join()
        except RuntimeError:
            _limit(resource.RLIMIT_NPROC, self._most_threads)
            return False
        return True


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit if this system has it: macOS has no bound on address space."""
    hard = soft if hard is None else hard
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (soft, hard))


def _open_load() -> int | None:
    try:
        return os.open("/proc/loadavg", os.O_RDONLY)
    except OSError:
        return None


def _address_space() -> int | None:
    """Return the bytes of address space that codecs and interpreter use already; None if that is unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()
