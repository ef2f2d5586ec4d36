"""Spare children: started and confined before there is a job, so that no job waits for the start of a process.

A spare carries out one order and ends, as every child does. One that ends without an order is replaced.
"""

import logging
import os
import select
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from app.domain.disk import port_errors
from app.domain.errors import PortError
from app.worker.sandbox import child
from app.worker.sandbox.process import ChildProcess

log = logging.getLogger(__name__)

#: Seconds until the next spare is started, after the end of an order and after its begin: the start takes processor
#: time from the answer and from the order.
_AFTER_END, _AFTER_BEGIN = 0.02, 0.2
#: Pause in seconds after a spare that ended without an order. It doubles up to the longest pause, and starts anew after
#: a spare that lived for longer than that.
_PAUSE, _LONGEST_PAUSE = 0.1, 60.0


class Spare:
    """A child that waits for its order, with folders of its own: it reads files in one and writes into the other."""

    def __init__(self, work: child.Work, folder: Path) -> None:
        with port_errors():
            self._folder = Path(tempfile.mkdtemp(dir=folder, prefix="spare-"))
        self.source = self._folder / "in" / "source"
        self.out = self._folder / "out"
        self.is_ready = False
        self.started = time.monotonic()
        rehearsal = self._folder / "rehearsal"
        try:
            with port_errors():
                for each in (self.source.parent, self.out, rehearsal):
                    each.mkdir()
            self.process = ChildProcess(work, self.source.parent, self.out, rehearsal)
        except PortError:
            self.remove()
            raise

    def is_waiting(self) -> bool:
        """Return True if the child waits for its order or prepares for that; False if it has ended."""
        poller = select.poll()
        poller.register(self.process.answers, select.POLLIN)
        if poller.poll(0):
            if self.is_ready or os.read(self.process.answers, len(child.READY)) != child.READY:
                return False
            self.is_ready = True
            return self.is_waiting()
        return True

    def end(self) -> None:
        """End the child unless it has ended, and remove its folders."""
        if not self.process.is_over:
            self.process.end(patience=0)
        self.remove()

    def remove(self) -> None:
        """Remove the folders."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Spares:
    """Up to `count` children that wait for an order to do `work`, with their folders in `folder`.

    A thread starts them and replaces those that are gone. It sleeps while nothing changes.
    """

    def __init__(self, work: child.Work, folder: Path, count: int = 1) -> None:
        self.work = work
        self._folder = folder
        self._count = count
        self._lock = threading.Lock()
        self._waiting: list[Spare] = []
        self._ended: list[Spare] = []
        self._due = 0.0
        self._failures = 0
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._woken, self._waker = os.pipe()
                os.set_blocking(self._waker, False)
                self._thread = threading.Thread(target=self._run, name="spares", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the spares, and start no more."""
        with self._lock:
            if self._thread is not None and not self._is_closed:
                self._wake()
            self._is_closed = True
        if self._thread is not None:
            self._thread.join()

    def pids(self) -> list[int]:
        """Return the process ids of the spares that wait, the oldest first."""
        with self._lock:
            return [spare.process.pid for spare in self._waiting]

    def count_ready(self) -> int:
        """Return the number of spares that are ready for their order."""
        with self._lock:
            return sum(spare.is_waiting() and spare.is_ready for spare in self._waiting)

    def take(self) -> Spare | None:
        """Return a spare that is ready for its order, or None. Call `give_back` afterwards."""
        with self._lock:
            ready = [spare for spare in self._waiting if spare.is_waiting() and spare.is_ready]
            if not ready:
                return None
            self._waiting.remove(ready[0])
            self._failures, self._due = 0, time.monotonic() + _AFTER_BEGIN
            self._wake()
            return ready[0]

    def give_back(self, spare: Spare) -> None:
        """Leave it to the thread to wait for the end of a spare, and to remove its folders."""
        with self._lock:
            if not self._is_closed:
                self._ended.append(spare)
                self._due = min(self._due, time.monotonic() + _AFTER_END)
                self._wake()
                return
        spare.end()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # enough bytes are there to wake it
            os.write(self._waker, b"x")

    def _run(self) -> None:
        while not self._is_closed:
            self._sleep()
            self._end_all(self._dead())
            if time.monotonic() >= self._due:
                self._clean_up()
                self._start_missing()
        with self._lock:
            left, self._waiting = self._waiting, []
            os.close(self._waker)
            os.close(self._woken)
        self._end_all(left)
        self._clean_up()

    def _sleep(self) -> None:
        """Sleep until a spare or another thread has something new, or something is due."""
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        with self._lock:
            for spare in self._waiting:
                poller.register(spare.process.answers, select.POLLIN)
            is_complete = not self._ended and len(self._waiting) >= self._count
            seconds = max(0.0, self._due - time.monotonic())
        for descriptor, _ in poller.poll(None if is_complete else seconds * 1000):
            if descriptor == self._woken:
                os.read(self._woken, 4096)

    def _dead(self) -> list[Spare]:
        """Remove the spares that have ended without an order from those that wait, and return them."""
        with self._lock:
            dead = [spare for spare in self._waiting if not spare.is_waiting()]
            for spare in dead:
                self._waiting.remove(spare)
                self._note_failure(time.monotonic() - spare.started)
                log.warning("a spare process has ended; another one replaces it")
        return dead

    def _clean_up(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, []
        self._end_all(ended)

    def _end_all(self, spares: list[Spare]) -> None:
        for spare in spares:
            spare.end()

    def _start_missing(self) -> None:
        while len(self._waiting) < self._count and not self._is_closed:
            try:
                spare = Spare(self.work, self._folder)
            except PortError:
                log.warning("no spare process; images start their own", exc_info=True)
                with self._lock:
                    self._note_failure(0)
                return
            with self._lock:
                self._waiting.append(spare)

    def _note_failure(self, lived: float) -> None:
        self._failures = 0 if lived > _LONGEST_PAUSE else self._failures + 1
        self._due = time.monotonic() + min(_PAUSE * 2 ** min(self._failures, 16), _LONGEST_PAUSE)
