"""Calls for many items at once, in a bounded number of threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

#: Calls at once, where most of the time is spent waiting for a store.
THREADS = 8


def in_parallel(items: Iterable[T], action: Callable[[T], R], threads: int = THREADS) -> Iterator[tuple[T, R]]:
    """Yield each item with the result of its call, in the order of the items.

    Items are read only a little ahead of the results, so nothing is held in memory. Raises the exception of a call when
    the turn of its item comes. When the iteration ends early, calls that run are finished and no others begin.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="parallel")
    running: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            running.append((item, pool.submit(action, item)))
            if len(running) > 2 * threads:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
