"""Keeping the embedded worker process alive beside the server, and ending it with the server."""

import logging
import subprocess
import sys
import threading
import time

from app.domain.errors import Unavailable

log = logging.getLogger(__name__)

#: A worker that is asked to stop finishes its picture or leaves it to the queue within this many seconds.
STOP_SECONDS = 10.0
_LONGEST_PAUSE = 5.0
_ORDERLY_PAUSE = 1.0


class Supervisor:
    """Runs `app.embedded_worker` in a process of its own and starts it again whenever it ends by itself.

    The worker's standard input is a pipe that nobody writes to: when this process is gone, however it went, the pipe
    ends and so does the worker.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="worker-supervisor", daemon=True)

    def start(self) -> None:
        """Start the worker and watch it."""
        self._thread.start()

    def check(self) -> None:
        """Raise `Unavailable` while there is no worker process."""
        process = self._process
        if process is None or process.poll() is not None:
            raise Unavailable("The worker is being started.")

    def stop(self) -> None:
        """End the worker: politely, then not."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            process.stdin.close()  # type: ignore[union-attr]  # it was opened as a pipe
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
            except OSError:  # no memory or no process to be had: that passes
                log.exception("no worker process can be started; trying again")
            else:
                if process is None:
                    return
                code = process.wait()
                # A signal to the whole process group may end the worker before this process begins to stop.
                if self._stopping.wait(_ORDERLY_PAUSE if code == 0 else 0):
                    return
                log.error("the worker process ended; starting another", extra={"exit_code": code})
            pause = 0.1 if time.monotonic() - started > 2 * _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
            self._stopping.wait(pause)

    def _spawn(self) -> "subprocess.Popen[bytes] | None":
        """A new worker process; None when there is to be none any more."""
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.embedded_worker", "--end-with-input"], stdin=subprocess.PIPE
            )
            return self._process
