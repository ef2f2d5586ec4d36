"""Child process of one image: limited, confined; it writes one JSON document into a pipe and ends."""

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

from app import linux
from app.domain.errors import ImageError
from app.domain.models import FailureCode
from app.worker.jobs import THREAD_STACK, Answer, Fault, Job, Processed, Refusal

#: Work of a child. It returns the image's facts and variants, or the MB of memory that processing it takes.
Work = Callable[[Path, Path, Job], Processed | float]

#: Largest file that a child may write, in bytes.
MAX_FILE = 512 * 1024 * 1024
#: Open files of a child, at most.
MAX_OPEN = 256
#: Threads of this user that may start on this machine while an image is processed. Encoders start about ten an image.
SPARE_THREADS = 1024
#: Seconds after the parent's deadline at which a child ends itself.
ORPHANED = 1
#: Error detail of an image whose process crashed.
CRASHED = "The image made its decoder crash."


def process_image(source: Path, out: Path, job: Job) -> Processed:
    """Run the pipeline. It is imported here because only the fork server and its children load a decoder."""
    try:
        from app.worker.pipeline.steps import process_image  # noqa: PLC0415
    except ImportError as error:
        raise Fault(f"cannot load the decoders: {error}") from error
    return process_image(source, out, job)


def render_variants(source: Path, out: Path, job: Job) -> Processed:
    """Run the steps of the pipeline that variants need."""
    try:
        from app.worker.pipeline.steps import render_variants  # noqa: PLC0415
    except ImportError as error:
        raise Fault(f"cannot load the decoders: {error}") from error
    return render_variants(source, out, job)


def estimate_memory(source: Path, out: Path, job: Job) -> float:  # noqa: ARG001 - a `Work`
    """Estimate from the image's header how many MB of memory processing takes. Nothing is decoded."""
    try:
        from app.worker.pipeline.header import open_checked  # noqa: PLC0415
    except ImportError as error:
        raise Fault(f"cannot load the decoders: {error}") from error
    image, plan = open_checked(source, job)
    image.close()
    return (plan.memory.animation if plan.animated else plan.memory.still) / 1_048_576


def run_job(work: Work, pipe: Connection, source: str, out: str, job_json: str, memory_mb: int) -> None:
    """Process one image in this process within `memory_mb`, write the `Answer` into the pipe as JSON, and exit."""
    job = Job.model_validate_json(job_json)
    os.setsid()  # Ctrl-C in a terminal reaches the parent only; descendants are killed as one group
    linux.hide()
    _end_with_parent(pipe)
    _redirect_output()
    _set_limits(job, memory_mb)
    answer = _confine(Path(source), Path(out), job) or _answer(work, Path(source), Path(out), job)
    data = answer.model_dump_json().encode()
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(pipe.fileno(), data) :]
    os._exit(0)  # the end of the process cleans up everything


def _end_with_parent(pipe: Connection) -> None:
    """End when the worker does. Close all descriptors but the pipe: one of them keeps the fork server alive.

    Linux kills this process when the fork server ends, which ends when the worker does. On other systems a thread
    watches the worker; a decoder that holds the interpreter's lock delays that, until the alarm at most.
    """
    from app.worker.sandbox.preload import SERVER  # noqa: PLC0415 - executed once, in the fork server

    kept = {0, 1, 2, pipe.fileno()}
    parent = None
    if not linux.end_with_parent():
        parent = multiprocessing.parent_process()
        kept |= {parent.sentinel} if parent else set()
    elif os.getppid() != SERVER != os.getpid():  # the fork server ended before the kernel was asked
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


def _confine(source: Path, out: Path, job: Job) -> Answer | None:
    """Restrict this process as far as the system can. Returns an answer if that failed.

    The module is imported here because the processes that start children do not need it.
    """
    from app.worker.sandbox import confinement  # noqa: PLC0415

    try:
        confinement.confine(source, out, source_is_shared=job.source_is_shared)
    except OSError as error:
        return Answer(fault=f"cannot be confined: {error}")
    return None


def _answer(work: Work, source: Path, out: Path, job: Job) -> Answer:
    try:
        processed = work(source, out, job)
        if isinstance(processed, float):
            return Answer(needed_mb=processed)
        return Answer(processed=processed.model_copy(update={"memory_mb": _peak_memory()}))
    except ImageError as error:
        return Answer(refused=Refusal(code=FailureCode(error.code), detail=error.detail[:500]))
    except MemoryError:
        return Answer(refused=Refusal(code=FailureCode.MEMORY, detail=out_of_memory(job.memory_mb)))
    except Fault as error:
        return Answer(fault=str(error)[:2000])
    except Exception as error:  # noqa: BLE001 - a crash whose location is known
        return Answer(refused=Refusal(code=FailureCode.CRASHED, detail=CRASHED, where=_location(error)))


def _location(error: Exception) -> str:
    """Return the failed step, the error's class and its last calls. Its message may quote private data of the image."""
    calls = traceback.extract_tb(error.__traceback__)[-6:]
    path = (f"{Path(call.filename).name}:{call.lineno} {call.name}" for call in calls)
    steps = "".join(f"{step}: " for step in getattr(error, "__notes__", ()))
    return f"{steps}{type(error).__name__}: {' > '.join(path)}"[:1000]


def _peak_memory() -> float | None:
    """Return the peak of resident memory of this process in MB; None on systems that count in another unit."""
    if sys.platform != "linux":
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _redirect_output() -> None:
    """Discard the output of decoders: libtiff writes a line for each fault that it finds."""
    devnull = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(devnull, standard)
    os.close(devnull)


def out_of_memory(memory_mb: int) -> str:
    """Return the error detail of an image that exceeds the memory bound."""
    return f"The image needs more than {memory_mb} MB of memory."


def _set_limits(job: Job, memory_mb: int) -> None:
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
        _limit(resource.RLIMIT_AS, base + memory_mb * 1_048_576)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit if this system has it: macOS has no bound on address space."""
    hard = soft if hard is None else hard
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (soft, hard))


def _limit_processes() -> None:
    """Forbid new processes on macOS, where threads do not count; limit the threads of this user on Linux.

    Linux counts all threads of the user on the machine, so the limit is above the number that the whole machine runs
    now. It does not apply to root. In some containers the number is not that of the machine and no thread could start;
    then there is no limit.
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
    """Return the bytes of address space that codecs and interpreter use already; None if that is unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()
