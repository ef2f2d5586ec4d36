"""The life of a picture's child process: bounded, answers in one line of JSON, ends."""

import contextlib
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from app.domain.errors import PictureError
from app.domain.models import FailureCode
from app.worker.jobs import THREAD_STACK, Answer, Developed, Fault, Job, Refusal

Work = Callable[[Path, Path, Job], Developed]

#: The largest file that a child may write, in bytes.
MAX_FILE = 512 * 1024 * 1024
#: Seconds after the parent's deadline at which a child ends itself: there is no parent any more by then.
ORPHANED = 1


def develop_picture(source: Path, out: Path, job: Job) -> Developed:
    """`develop`, imported late: only the fork server and its children ever load a decoder."""
    try:
        from app.worker.develop import develop  # noqa: PLC0415 - the processes that start children stay without it
    except ImportError as error:
        raise Fault(f"cannot load the decoders: {error}") from error
    return develop(source, out, job)


def live(work: Work, pipe: Connection, source: str, out: str, job_json: str) -> None:
    """What the process runs. Its answer goes into the pipe, raw; how it ends, into the exit status."""
    job = Job.model_validate_json(job_json)
    os.setsid()  # Ctrl-C in a terminal is the parent's to handle
    _silence()
    _bound(job)
    from app.worker.confine import confine  # noqa: PLC0415 - the processes that start children stay without it

    confine(Path(source), Path(out))
    answer = _answer(work, Path(source), Path(out), job)
    data = answer.model_dump_json().encode()
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(pipe.fileno(), data) :]
    os._exit(0)  # nothing to tidy up that the end of the process does not


def _answer(work: Work, source: Path, out: Path, job: Job) -> Answer:
    try:
        developed = work(source, out, job)
        return Answer(developed=developed.model_copy(update={"memory_mb": _most_memory()}))
    except PictureError as error:
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
    return f"{type(error).__name__}: {' > '.join(way)}"[:1000]


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
    threading.stack_size(THREAD_STACK)
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


def _address_space() -> int | None:
    """Bytes of address space in use already: codecs, and what the interpreter reserves."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()
