"""Child process of one image: confined, limited; it takes one order, writes one JSON document into a pipe and ends."""

import contextlib
import gc
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
from app.worker.jobs import Answer, Fault, Job, Order, Processed, Refusal
from app.worker.sandbox.bounds import MAX_OPEN, Bounds, out_of_memory

#: Work of a child. It returns the image's facts and variants, or the MB of memory that processing it takes.
Work = Callable[[Path, Path, Job], Processed | float]

#: Written into the pipe by a child that is ready for its order.
READY = b"\n"
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


def run_child(
    work: Work, orders: Connection, pipe: Connection, source: str, out: str, rehearsal: str | None = None
) -> None:
    """Confine this process, take one order, carry it out, write the `Answer` into the pipe as JSON, and end.

    `source` is the image, or the folder in which it will be. A child with a folder for a `rehearsal` may be started
    long before its order. It writes a line break when it is ready for it. Without an order it ends.
    """
    gc.freeze()  # a collection of objects of the fork server would copy their pages
    os.setsid()  # Ctrl-C in a terminal reaches the parent only; descendants are killed as one group
    linux.hide()
    _end_with_parent(orders, pipe)
    _redirect_output()
    bounds = Bounds()
    if rehearsal is not None:
        _rehearse(Path(rehearsal))
    confined = _Confinement(Path(source), Path(out))
    if rehearsal is not None:
        os.write(pipe.fileno(), READY)
    order_json = _receive(orders)
    if not order_json:
        os._exit(0)
    order = Order.model_validate_json(order_json)
    bounds.set(order.job, order.memory_mb)
    answer = confined.complete(order.job) or _answer(work, Path(order.source), Path(out), order.job)
    data = answer.model_dump_json().encode()
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(pipe.fileno(), data) :]
    os.close(pipe.fileno())  # the parent need not wait until the memory is freed
    os._exit(0)  # the end of the process cleans up everything


def _receive(orders: Connection) -> bytes:
    """Return all that the worker writes until it closes its end. Nothing can be ordered afterwards."""
    received = b""
    while piece := os.read(orders.fileno(), 65536):
        received += piece
    orders.close()
    return received


def _rehearse(folder: Path) -> None:
    """Render an image of our own. The modules are imported here because only the fork server and its children load a
    decoder."""
    with contextlib.suppress(ImportError, OSError, Fault):  # the same fault ends the order, if it lasts
        from app.worker.sandbox.rehearsal import rehearse  # noqa: PLC0415

        rehearse(folder)


class _Confinement:
    """Confinement of this process in two steps: of files at once, of system calls when the limits are set.

    The module is imported here because the processes that start children do not need it.
    """

    def __init__(self, source: Path, out: Path) -> None:
        from app.worker.sandbox import confinement  # noqa: PLC0415

        self._fault: OSError | None = None
        try:
            self._confinement = confinement.Confinement(source, out)
        except OSError as error:
            self._fault = error

    def complete(self, job: Job) -> Answer | None:
        """Restrict this process as far as the system can. Returns an answer if that failed."""
        try:
            if self._fault is not None:
                raise self._fault
            self._confinement.complete(source_is_shared=job.source_is_shared)
        except OSError as error:
            return Answer(fault=f"cannot be confined: {error}")
        return None


def _end_with_parent(orders: Connection, pipe: Connection) -> None:
    """End when the worker does. Close all descriptors but the pipes: one of them keeps the fork server alive.

    Linux kills this process when the fork server ends, which ends when the worker does. On other systems a thread
    watches the worker; a decoder that holds the interpreter's lock delays that, until the alarm at most.
    """
    from app.worker.sandbox.preload import SERVER  # noqa: PLC0415 - executed once, in the fork server

    kept = {0, 1, 2, orders.fileno(), pipe.fileno()}
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
