"""Child process as its parent sees it: an order, the pipe of its answer, and its end."""

import multiprocessing
import os
import signal
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from app.domain.errors import Unavailable
from app.worker.jobs import Order
from app.worker.sandbox import child, fork_server

#: Seconds for the kernel to end a killed process, which may be inside a disk driver.
_KILL_SECONDS = 5


class ChildProcess:
    """A process that runs `child.run_child` and takes one order. Raises `Unavailable` if there is none.

    `out` is the folder of its files. It answers on the descriptor `answers`.
    """

    def __init__(self, work: child.Work, source: Path, out: Path, rehearsal: Path | None = None) -> None:
        self.out = out
        self._lock = threading.Lock()
        self._is_over = False
        context = multiprocessing.get_context("forkserver")
        with ExitStack() as ours:
            try:
                fork_server.start()
                orders, self._orders = context.Pipe(duplex=False)
                ours.enter_context(self._orders)
                with orders:
                    self._pipe, answers = context.Pipe(duplex=False)
                    ours.enter_context(self._pipe)
                    arguments = (work, orders, answers, str(source), str(out), str(rehearsal) if rehearsal else None)
                    self._process = context.Process(target=child.run_child, args=arguments, daemon=True)
                    # Without our copies of the child's ends, the pipes end with the child.
                    with answers, fork_server.no_main_module():
                        fork_server.start_process(self._process)
            except (OSError, EOFError) as error:
                raise Unavailable(f"No process for an image: {error}") from error
            ours.pop_all()

    @property
    def pid(self) -> int:
        """Process id."""
        return int(self._process.pid or 0)

    @property
    def is_over(self) -> bool:
        """True if its end was waited for."""
        return self._is_over

    @property
    def answers(self) -> int:
        """Descriptor on which the child writes, until it has nothing more to write."""
        return self._pipe.fileno()

    def order(self, order: Order) -> bool:
        """Give the child its order, once. Returns False if it has ended."""
        data = order.model_dump_json().encode()
        try:
            while data:
                data = data[os.write(self._orders.fileno(), data) :]
        except BrokenPipeError:
            return False
        finally:
            self._orders.close()
        return True

    def end(self, *, patience: float) -> int | None:
        """Return the child's exit code if it ends within `patience` seconds, None if it had to be killed.

        Its process group is killed in any case: without the filter of system calls it may have descendants.
        """
        self._process.join(patience)
        code = self._process.exitcode
        self._kill(is_over=code is not None)
        self._process.join(_KILL_SECONDS)
        with self._lock:
            self._is_over = True
            self._close()
            if self._process.exitcode is not None:
                self._process.close()
        return code

    def kill(self) -> None:
        """Kill the child unless it has ended. Its end is still to be waited for."""
        with self._lock:
            if not self._is_over:
                self._kill(is_over=False)

    def _kill(self, *, is_over: bool) -> None:
        if self._process.pid is not None:
            with suppress(OSError):  # no such group: it ended without descendants, or did not lead a group yet
                os.killpg(self._process.pid, signal.SIGKILL)
        if not is_over:
            self._process.kill()

    def _close(self) -> None:
        self._orders.close()
        self._pipe.close()
