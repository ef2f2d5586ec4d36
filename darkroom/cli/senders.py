"""Threads that send files."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Record = dict[str, Any]


class Senders:
    """Runs jobs in the order in which they are added, several at once.

    The threads are daemons, because a command that is interrupted must not wait for a request to end.
    """

    def __init__(self, threads: int) -> None:
        self._wanted = threads
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Record], Future[Record]]] = queue.SimpleQueue()

    def add(self, job: Callable[[], Record]) -> Future[Record]:
        """Add a job. Its result or its exception is in the future that is returned."""
        outcome: Future[Record] = Future()
        self._jobs.put((job, outcome))
        if len(self._threads) < self._wanted:
            self._threads.append(threading.Thread(target=self._work, daemon=True))
            self._threads[-1].start()
        return outcome

    def _work(self) -> None:
        while True:
            job, outcome = self._jobs.get()
            try:
                outcome.set_result(job())
            except BaseException as error:  # noqa: BLE001 - the future raises it again
                outcome.set_exception(error)


def finished(record: Record) -> Future[Record]:
    """Return the outcome of a job that needs no work."""
    outcome: Future[Record] = Future()
    outcome.set_result(record)
    return outcome
