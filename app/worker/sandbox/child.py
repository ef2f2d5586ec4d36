"""Child process of one image: bounded, confined, answers in one line of JSON, ends."""

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from app import prctl
from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.jobs import THREAD_STACK, Answer, Fault, Job, Processed, Refusal

Work = Callable[[Path, Path, Job], Processed]

#: The largest file that a child may write, in bytes.
MAX_FILE = 512 * 1024 * 1024
#: The most open files of a child.
MAX_OPEN = 256
#: Threads of this user that may start on this machine while an image is processed. Encoders start about ten an image.
SPARE_THREADS = 1024
#: Seconds after the parent's deadline at which a child ends itself, should nothing else have ended it.
ORPHANED = 1


def process_image(source: Path, out: Path, job: Job) -> Processed:
    """Run the pipeline. It is imported here because only the fork server and its children load a decoder."""
    try:
        from app.worker.pipeline.steps import process_image  # noqa: PLC0415
    except ImportError as error:
        raise Fault(f"cannot load the decoders: {error}") from error
    return process_image(source, out, job)


def live(work: Work, pipe: Connection, source: str, out: str, job_json: str) -> None:
    """Run the process: the answer goes into the pipe as raw JSON, the way it ended into the exit status."""
    job = Job.model_validate_json(job_json)
    os.setsid()  # Ctrl-C in a terminal is for the parent; descendants, if any, are killed as one group
    prctl.hide()
    _end_with_parent(pipe)
    _silence()
    _bound(job)
    answer = _confine(Path(source), Path(out)) or _answer(work, Path(source), Path(out), job)
    data = answer.model_dump_json().encode()
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(pipe.fileno(), data) :]
    os._exit(0)  # nothing to clean up that the end of the process does not


def _end_with_parent(pipe: Connection) -> None:
    """End when the worker does. Close all descriptors but the pipe: one of them keeps the fork server alive.

    Linux kills this process when the fork server ends, which ends when the worker does. Elsewhere a thread watches
    the worker; a decoder that runs without a break delays that, until the alarm at most.
    """
    from app.worker.sandbox.preload import SERVER  # noqa: PLC0415 - executed once, in the fork server

    kept = {0, 1, 2, pipe.fileno()}
    parent = None
    if not prctl.end_with_parent():
        parent = multiprocessing.parent_process()
        kept |= {parent.sentinel} if parent else set()
    elif os.getppid() != SERVER != os.getpid():  # it ended before the kernel was asked
        os._exit(1)
    for descriptor in _open_descriptors() - kept:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    if parent:
        threading.Thread(target=_kill_self_after, args=(parent,), daemon=True).start()


def _kill_self_after(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _open_descriptors() -> set[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return {int(name) for name in os.listdir(folder)}  # noqa: PTH208 - numbers, not paths
    return set(range(MAX_OPEN))


def _confine(source: Path, out: Path) -> Answer | None:
    """Restrict this process to its work, as far as the system can; an answer if that failed.

    The modules are imported here because the processes that start children do without them.
    """
    from app.worker.sandbox import landlock, seccomp  # noqa: PLC0415

    try:
        prctl.drop_capabilities()
        prctl.forbid_new_privileges()
        landlock.confine(source, out)
        seccomp.install()
    except OSError as error:
        return Answer(fault=f"cannot be confined: {error}")
    return None


def _answer(work: Work, source: Path, out: Path, job: Job) -> Answer:
    try:
        processed = work(source, out, job)
        return Answer(processed=processed.model_copy(update={"memory_mb": _most_memory()}))
    except ImageError as error:
        return Answer(refused=Refusal(code=FailureCode(error.code), detail=error.detail[:500]))
    except MemoryError:
        return Answer(refused=Refusal(code=FailureCode.MEMORY, detail=out_of_memory(job.memory_mb)))
    except Fault as error:
        return Answer(fault=str(error)[:2000])
    except Exception as error:  # noqa: BLE001 - a crash like any other, but one that can tell where
        return Answer(refused=Refusal(code=FailureCode.CRASHED, detail=CRASHED, where=_way_to(error)))


def _way_to(error: Exception) -> str:
    """The error's class and the last calls before it. Not its words: they may quote what is private in the picture."""
    calls = traceback.extract_tb(error.__traceback__)[-6:]
    way = (f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in calls)
    steps = "".join(f"{step}: " for step in getattr(error, "__notes__", ()))
    return f"{steps}{type(error).__name__}: {' > '.join(way)}"[:1000]


def _most_memory() -> float | None:
    """MB of this process that were in memory at once, at most; None where the system counts in another unit."""
    if sys.platform != "linux":
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _silence() -> None:
    """Keep decoders from our log: libtiff has a line for each thing that it finds wrong."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


CRASHED = "The picture made its decoder crash."


def out_of_memory(memory_mb: int) -> str:
    """The sentence for a picture that needs more than its share."""
    return f"The picture needs more than {memory_mb} MB of memory."


def _bound(job: Job) -> None:
    seconds = job.seconds + ORPHANED
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # kills, even inside a decoder
    signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cpu = int(seconds * job.threads) + 1
    _limit(resource.RLIMIT_CPU, cpu, cpu + 1)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, MAX_FILE)
    _limit(resource.RLIMIT_NOFILE, MAX_OPEN)
    threading.stack_size(THREAD_STACK)
    _limit_processes()
    base = _address_space()
    if base is not None:
        _limit(resource.RLIMIT_AS, base + job.memory_mb * 1_048_576)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit as far as this system knows it and lets us: macOS has no bound on address space."""
    hard = soft if hard is None else hard
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (soft, hard))


def _limit_processes() -> None:
    """Allow no new process on macOS, where threads do not count; on Linux bound the threads of this user.

    Linux counts all threads of the user on the machine, so the bound is above what the whole machine runs now. It does
    not hold for root. Where the count is not the machine's, as in some containers, no thread can start: then there is
    no bound.
    """
    if sys.platform == "darwin":
        _limit(resource.RLIMIT_NPROC, 0)
        return
    before = resource.getrlimit(resource.RLIMIT_NPROC)
    with contextlib.suppress(OSError, ValueError, IndexError):
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
        _limit(resource.RLIMIT_NPROC, running + SPARE_THREADS, before[1])
        try:
            probe = threading.Thread()
            probe.start()
            probe.join()
        except RuntimeError:
            resource.setrlimit(resource.RLIMIT_NPROC, before)


def _address_space() -> int | None:
    """Bytes of address space in use already: codecs, and what the interpreter reserves."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()
