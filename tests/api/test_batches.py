"""Blocking calls of concurrent requests."""

import asyncio
import threading

import pytest

from app.api.batches import Batches


@pytest.mark.parametrize("short", [True, False])
def test_each_call_gets_its_own_result_or_error(short: bool) -> None:
    batches = Batches(short=short)

    def half(number: int) -> int:
        if number % 3 == 0:
            raise LookupError(number)
        return number // 2

    async def main() -> list[int | BaseException]:
        return await asyncio.gather(*(batches.run(half, number) for number in range(8)), return_exceptions=True)

    for _ in range(2):  # each with an event loop of its own
        found = asyncio.run(main())
        assert [type(each) for each in found] == [LookupError, int, int, LookupError, int, int, LookupError, int]
        assert [each for each in found if isinstance(each, int)] == [0, 1, 2, 2, 3]


def test_short_calls_of_one_moment_share_a_thread() -> None:
    batches = Batches(short=True)

    async def main() -> list[int]:
        return await asyncio.gather(*(batches.run(threading.get_ident) for _ in range(8)))

    threads = set(asyncio.run(main()))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_other_calls_run_at_the_same_time() -> None:
    batches, meeting = Batches(short=False), threading.Barrier(4)

    async def main() -> None:
        await asyncio.gather(*(batches.run(meeting.wait, 60) for _ in range(4)))

    asyncio.run(main())  # raises BrokenBarrierError if they wait for each other


def test_a_canceled_call_does_not_disturb_the_others() -> None:
    batches = Batches(short=True)

    async def main() -> str:
        canceled, kept = (asyncio.create_task(batches.run(str, number)) for number in range(2))
        await asyncio.sleep(0)
        canceled.cancel()
        return await kept

    assert asyncio.run(main()) == "1"


def test_calls_that_one_event_loop_never_made_do_not_delay_another() -> None:
    batches = Batches(short=True)
    call = batches.run(str, 1)
    stopped = asyncio.new_event_loop()
    stopped.call_soon(stopped.stop)
    task = stopped.create_task(call)
    stopped.run_forever()  # ends before the batch starts
    assert asyncio.run(batches.run(str, 2)) == "2"
    assert stopped.run_until_complete(task) == "1"
    stopped.run_until_complete(stopped.shutdown_default_executor())
    stopped.close()
