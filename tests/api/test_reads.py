"""Reads on the event loop and in threads."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from app.api.reads import Reads


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def passing(self, seconds: float) -> Callable[[], int]:
        """Return a read that takes this long, and returns the thread that it ran in."""

        def read() -> int:
            self.now += seconds
            return threading.get_ident()

        return read


@pytest.mark.parametrize("local", [True, False])
def test_each_read_gets_its_own_result_or_error(local: bool) -> None:
    reads = Reads(local=local)

    def half(number: int) -> int:
        if number % 3 == 0:
            raise LookupError(number)
        return number // 2

    async def main() -> list[int | BaseException]:
        return await asyncio.gather(*(reads.run(half, number) for number in range(8)), return_exceptions=True)

    found = asyncio.run(main())
    assert [type(each) for each in found] == [LookupError, int, int, LookupError, int, int, LookupError, int]
    assert [each for each in found if isinstance(each, int)] == [0, 1, 2, 2, 3]


def test_reads_of_a_remote_database_run_at_the_same_time() -> None:
    reads, meeting = Reads(local=False), threading.Barrier(4)

    async def main() -> None:
        await asyncio.gather(*(reads.run(meeting.wait, 60) for _ in range(4)))

    asyncio.run(main())  # raises BrokenBarrierError if they wait for each other


def test_a_long_read_sends_the_next_ones_to_threads_for_a_second() -> None:
    clock = Clock()
    reads, here = Reads(local=True, clock=clock), threading.get_ident()

    async def is_here(seconds: float) -> bool:
        return await reads.run(clock.passing(seconds)) == here

    async def main() -> list[bool]:
        found = [await is_here(0.004), await is_here(0.006), await is_here(0.004), await is_here(0.006)]
        clock.now += 1.0
        return [*found, await is_here(0.004), await is_here(0.004)]

    assert asyncio.run(main()) == [True, True, False, False, True, True]


def test_a_long_read_that_fails_counts_too() -> None:
    clock = Clock()
    reads = Reads(local=True, clock=clock)

    def fail() -> None:
        clock.now += 1
        raise LookupError

    async def main() -> int:
        with pytest.raises(LookupError):
            await reads.run(fail)
        return await reads.run(threading.get_ident)

    assert asyncio.run(main()) != threading.get_ident()
