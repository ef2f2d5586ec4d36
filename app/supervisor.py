"""Supervisor of the self-hosted worker process: restarts it when it ends, and stops it with the server."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

from app.domain.errors import Unavailable

log = logging.getLogger(__name__)

#: Seconds in which a worker that is asked to stop finishes its image, or leaves it to the queue.
STOP_SECONDS = 10.0
_LONGEST_PAUSE = 5.0
_ORDERLY_PAUSE = 1.0


class Supervisor:
    """Runs `app.embedded_worker` in a process of its own and restarts it when it ends.

    The worker's standard input is a pipe without data. When this process ends, even by SIGKILL, the pipe is closed and
    the worker stops. On its standard output the worker writes the id of each image that it has handled.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._on_handled: Callable[[str], None] = lambda _: None
        self._thread = threading.Thread(target=self._watch, name="worker-supervisor", daemon=True)

    def start(self, on_handled: Callable[[str], None] = lambda _: None) -> None:
        """Start the worker and watch it. `on_handled` is called with the id of each image that it has handled."""
        self._on_handled = on_handled
        self._thread.start()

    def check(self) -> None:
        """Raise `Unavailable` while no worker process runs."""
        process = self._process
        if process is None or process.poll() is not None:
            raise Unavailable("The worker process is not running; it is being restarted.")

    def stop(self) -> None:
        """Stop the worker; kill it after the time-out."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            process.stdin.close()  # type: ignore[union-attr]  # Popen opened a pipe
            try:
                process.wait(STOP_SECONDS + 2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._thread.join()

    def _watch(self) -> None:
        pause = 0.1
        while True:
            started = time.monotonic()
            try:
                process = self._spawn()
            except OSError:  # no memory or no free process: temporary
                log.exception("worker process not started; retrying")
            else:
                if process is None:
                    return
                if process.stdout is not None:
                    self._read(process.stdout)
                code = process.wait()
                # A signal to the process group may end the worker before this process begins to stop.
                if self._stopping.wait(_ORDERLY_PAUSE if code == 0 else 0):
                    return
                log.error("worker process ended; restarting it", extra={"exit_code": code})
            pause = 0.1 if time.monotonic() - started > 2 * _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
            self._stopping.wait(pause)

    def _read(self, output: IO[bytes]) -> None:
        """Report the ids that the worker writes, until it ends."""
        with output:
            for line in output:
                try:
                    self._on_handled(line.decode().strip())
                except Exception:
                    log.exception("an image that the worker has handled was not reported")

    def _spawn(self) -> "subprocess.Popen[bytes] | None":
        """Start a worker process. Return None if the server is stopping."""
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.embedded_worker", "--end-with-input"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            return self._process
