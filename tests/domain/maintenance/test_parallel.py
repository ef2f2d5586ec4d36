"""Bounded threads: results in order, little read ahead, and a clean end."""

import threading
from collections.abc import Iterator

import pytest

from app.domain.maintenance.parallel import in_parallel


def test_results_come_in_the_order_of_the_items() -> None:
    gates = [threading.Event() for _ in range(4)]

    def act(number: int) -> int:
        if number + 1 < len(gates):
            assert gates[number + 1].wait(60)  # the next one finishes first
        gates[number].set()
        return number * number

    assert list(in_parallel(range(4), act, threads=4)) == [(0, 0), (1, 1), (2, 4), (3, 9)]


def test_little_is_read_ahead() -> None:
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for number in range(1000):
            read = number
            yield number

    for number, _ in in_parallel(items(), lambda number: number, threads=3):
        assert read <= number + 7


def test_an_exception_comes_with_its_item_and_ends_the_others() -> None:
    done: list[int] = []

    def act(number: int) -> None:
        if number == 3:
            raise KeyError(number)
        done.append(number)

    results = in_parallel(range(1000), act, threads=2)
    assert [next(results)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    assert len(done) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("parallel")]
