"""Memory for several child processes: first come, first served."""

import threading

import pytest

from app.worker.memory_budget import PROCESS_MB, MemoryBudget, NotStarted


def never() -> bool:
    return False


def always() -> bool:
    return True


def take(budget: MemoryBudget, mb: int) -> None:
    with budget.first_in_line(never):
        budget.take(mb, never)


def test_memory_that_is_free_is_taken_at_once() -> None:
    budget = MemoryBudget(2 * (100 + PROCESS_MB))
    take(budget, 100)
    take(budget, 100)
    with budget.first_in_line(never), pytest.raises(NotStarted):
        budget.take(1, _at_the_second_question())


def _at_the_second_question() -> "_Questions":
    return _Questions(2)


class _Questions:
    """Gives up at this question."""

    def __init__(self, last: int) -> None:
        self._left = last

    def __call__(self) -> bool:
        self._left -= 1
        return self._left <= 0


def test_more_than_the_budget_is_given_when_nothing_else_is_taken() -> None:
    budget = MemoryBudget(100)
    take(budget, 5000)
    with budget.held(5000), budget.first_in_line(never), pytest.raises(NotStarted):
        budget.take(1, _at_the_second_question())
    take(budget, 5000)


def test_the_first_in_line_is_not_overtaken() -> None:
    budget = MemoryBudget(1000)
    take(budget, 400)
    order: list[int] = []
    in_line = threading.Event()

    def large() -> None:
        with budget.first_in_line(never):
            in_line.set()
            budget.take(900, never)
            order.append(900)
        with budget.held(900):
            pass

    def small() -> None:
        take(budget, 10)  # there is enough for it
        order.append(10)

    threads = [threading.Thread(target=large), threading.Thread(target=small)]
    threads[0].start()
    assert in_line.wait(60)
    threads[1].start()
    with pytest.raises(NotStarted), budget.first_in_line(_at_the_second_question()):
        raise AssertionError("it is not the first in line")
    assert order == []
    with budget.held(400):
        pass
    for thread in threads:
        thread.join(60)
    assert order == [900, 10]


def test_a_thread_that_gives_up_leaves_the_line() -> None:
    budget = MemoryBudget(100)
    take(budget, 400)
    with pytest.raises(NotStarted), budget.first_in_line(never):
        budget.take(10, always)
    with budget.held(400):
        pass
    take(budget, 10)
