"""Fork server of multiprocessing, started without secrets in its environment.

It holds the loaded codecs and forks a child per image. It ends when this process and the children have closed the pipe
that keeps it alive.

This is the only module that uses private parts of multiprocessing. CI runs it on Python 3.11, 3.13 and
3.14; `tests/worker/sandbox/test_fork_server.py` fails when one of them changes:

* `forkserver._forkserver`, the one server of this process;
* its attributes `_forkserver_alive_fd` and `_forkserver_pid`;
* its method `ensure_running`, called for each new process;
* `process._children`, the processes that each start of another one polls;
* `sys.modules["__main__"]`, which a child imports again.
"""

import multiprocessing
import os
import re
import select
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from types import ModuleType
from typing import Any, Final

#: Variables that children see: paths of programs and libraries, language, time zone, and those of the interpreter.
_NEEDED: Final = re.compile(r"(PATH|HOME|LANG|LC_\w+|LD_\w+|TZ|TMPDIR|MALLOC_\w+|GLIBC_TUNABLES|PYTHON\w+)$")
#: Settings of glibc. All threads share one heap: a heap per thread would reserve up to 128 MB of address space, which
#: counts against the memory bound. Freed memory is kept (32 MiB is the largest mmap threshold that glibc accepts):
#: returning it to the system costs 8,000 page faults, a tenth of the CPU time of a 12 MP image. Memory is requested in
#: huge pages where the system has them for programs that ask, which saves page faults of the first use (glibc 2.35).
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
#: OpenBLAS, which numpy loads for the encoder of JPEG XL, would start a thread per core in the fork server.
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1"}
#: Modules that the fork server loads for all its children.
_PRELOADED: Final = (
    "app.worker.sandbox.preload",
    "app.worker.pipeline.steps",
    "app.worker.sandbox.confinement",
    "app.worker.sandbox.rehearsal",
    "app.worker.sandbox.child",
)

#: Seconds until a fork server that was killed can be replaced.
_DYING_SECONDS: Final = 2.0

_main_lock = threading.Lock()
_optional: set[str] = set()


def preload(module: str) -> None:
    """Load one more module in the fork server. Call it before the first `start`."""
    _optional.add(module)


def start() -> None:
    """Start the fork server unless it is running."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([*_PRELOADED, *sorted(_optional)])
    # Called by multiprocessing before each fork. Its own version would pass the whole environment to a new server.
    _server().ensure_running = _ensure_running
    with no_main_module():
        _ensure_running()


def pid() -> int | None:
    """Return the process id of the fork server; None if it was not started."""
    return _server()._forkserver_pid  # type: ignore[no-any-return]  # noqa: SLF001


def start_process(process: ForkServerProcess) -> None:
    """Start a process that only the calling thread waits for. Call it within `no_main_module`.

    Each start polls the processes that were started before, and takes the exit code from the thread that waits for one.
    """
    process.start()
    multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]  # noqa: SLF001


def _ensure_running() -> None:
    deadline = time.monotonic() + _DYING_SECONDS
    while not _runs() and time.monotonic() < deadline:
        with _environment_of_children():
            forkserver.ForkServer.ensure_running(_server())


def _server() -> Any:
    return forkserver._forkserver  # noqa: SLF001


def _runs() -> bool:
    """Return True if the fork server holds the read end of the pipe that keeps it alive. No other process does."""
    alive = _server()._forkserver_alive_fd  # noqa: SLF001
    if alive is None:
        return False
    poller = select.poll()
    poller.register(alive, select.POLLOUT)
    return not any(found & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, found in poller.poll(0))


@contextmanager
def no_main_module() -> Iterator[None]:
    """Hide `__main__` while a process is started.

    multiprocessing would import the main program in each child, with its side effects: hundreds of milliseconds per
    image. Children do not need it, because their function is imported by its own name.
    """
    with _main_lock:
        actual = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = actual


@contextmanager
def _environment_of_children() -> Iterator[None]:
    """Reduce the environment to what a process needs, so that no image can read a key or a secret from it.

    PYTHONPATH gets the paths of modules: Python 3.11's fork server would look in the current folder only.
    """
    before = dict(os.environ)
    kept = ALLOCATOR | _ONE_THREAD | {name: value for name, value in before.items() if _NEEDED.match(name)}
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
