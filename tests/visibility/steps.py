"""Ports whose every call is a step: a point at which something else happens, or the process ends."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

#: Called before each call of a port, with its name.
Step = Callable[[str], None]


class Crash(BaseException):
    """The end of the process. Nothing that handles errors sees it."""


class Stepped:
    """A port that takes a step before each call. A walk that it returns is read at once."""

    def __init__(self, inner: Any, step: Step) -> None:
        self._inner = inner
        self._step = step

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **options: Any) -> Any:
            self._step(name)
            result = method(*args, **options)
            return iter(list(result)) if isinstance(result, Iterator) else result

        return call


class CrashAt:
    """End the process at the step with this number, counted from 0: no later call reaches a port."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps = 0

    def __call__(self, name: str) -> None:
        self.steps += 1
        if self.steps > self.number:
            raise Crash

    @property
    def happened(self) -> bool:
        """True if the process has ended."""
        return self.steps > self.number


class ActAt:
    """Do something else once, at the step with this number, counted from 0."""

    def __init__(self, number: int, action: Callable[[], object]) -> None:
        self.number = number
        self.steps = 0
        self._action = action

    def __call__(self, name: str) -> None:
        self.steps += 1
        if self.steps == self.number + 1:
            self._action()

    @property
    def happened(self) -> bool:
        """True if the action was done."""
        return self.steps > self.number


class Turns:
    """Threads that take their steps one at a time, in an order that `choose` determines.

    `choose` gets the numbers of the threads that wait for their next step, and returns one of them.
    """

    def __init__(self, choose: Callable[[list[int]], int]) -> None:
        self._choose = choose
        self._changed = threading.Condition()
        self._waiting: set[int] = set()
        self._running: set[int] = set()
        self._turn: int | None = None

    def run(self, operations: list[Callable[[Step], object]]) -> list[BaseException | None]:
        """Run the operations, each in its thread. Return what each has raised."""
        raised: list[BaseException | None] = [None] * len(operations)

        def work(number: int) -> None:
            try:
                self._wait(number)
                operations[number](lambda _: self._wait(number))
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                raised[number] = error
            finally:
                with self._changed:
                    self._running.discard(number)
                    self._changed.notify_all()

        self._running = set(range(len(operations)))
        threads = [threading.Thread(target=work, args=(number,)) for number in self._running]
        for thread in threads:
            thread.start()
        with self._changed:
            while self._running:
                self._changed.wait_for(lambda: self._turn is None and self._waiting == self._running)
                if self._waiting:
                    self._turn = self._choose(sorted(self._waiting))
                    self._changed.notify_all()
        for thread in threads:
            thread.join()
        return raised

    def _wait(self, number: int) -> None:
        with self._changed:
            self._waiting.add(number)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._turn == number)
            self._turn = None
            self._waiting.discard(number)
