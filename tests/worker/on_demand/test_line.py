"""Line of requests: bounds, turns, shared renderings, and requests that end early."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.domain.errors import RendererBusy
from app.worker.on_demand.line import RenderLine


class Scene:
    """A line whose renderings last until they are released. `started` has their names in order."""

    def __init__(self, **bounds: float) -> None:
        self.line: RenderLine[str] = RenderLine(**{"at_once": 1} | bounds)  # type: ignore[arg-type]
        self.started: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}

    async def ask(self, name: str, owner: str = "ann") -> "asyncio.Task[str]":
        """Ask for a rendering, and return when the request waits or has begun."""
        asked = asyncio.create_task(self.line.ask(owner, name, self.work(name)))
        await settle()
        return asked

    async def release(self, name: str) -> None:
        self._gates[name].set()
        await settle()

    def work(self, name: str) -> Callable[[], Awaitable[str]]:
        async def work() -> str:
            self.started.append(name)
            await self._gates.setdefault(name, asyncio.Event()).wait()
            if name == "bad":
                raise ValueError(name)
            return f"made {name}"

        return work


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_so_many_at_once_and_the_others_in_turn() -> None:
    async def run() -> None:
        scene = Scene(at_once=2)
        asked = [await scene.ask(name) for name in "abcd"]
        assert scene.started == ["a", "b"]
        for name in "abcd":
            await scene.release(name)
        assert scene.started == ["a", "b", "c", "d"]
        assert [await each for each in asked] == ["made a", "made b", "made c", "made d"]

    asyncio.run(run())


def test_owners_take_turns() -> None:
    async def run() -> None:
        scene = Scene()
        for name in ("a1", "a2", "a3"):
            await scene.ask(name, "ann")
        for name in ("b1", "b2"):
            await scene.ask(name, "bob")
        for name in ("a1", "a2", "b1", "a3", "b2"):
            assert scene.started[-1] == name
            await scene.release(name)

    asyncio.run(run())


def test_equal_requests_share_one_rendering_and_its_error() -> None:
    async def run() -> None:
        scene = Scene()
        asked = [await scene.ask("bad", owner) for owner in ("ann", "ann", "bob")]
        await scene.release("bad")
        assert scene.started == ["bad"]
        for each in asked:
            with pytest.raises(ValueError, match="bad"):
                await each
        again = await scene.ask("bad")
        assert scene.started == ["bad", "bad"], "a rendering that has ended is not shared"
        with pytest.raises(ValueError, match="bad"):
            await again

    asyncio.run(run())


def test_the_line_is_bounded_in_all_and_by_owner() -> None:
    async def run() -> None:
        scene = Scene(max_waiting=3, max_waiting_of_owner=2)
        for name in "abc":
            await scene.ask(name, "ann")
        with pytest.raises(RendererBusy) as caught:
            await (await scene.ask("d", "ann"))
        assert caught.value.retry_after > 0
        shared = await scene.ask("c", "ann")
        await scene.ask("e", "bob")
        with pytest.raises(RendererBusy):
            await (await scene.ask("f", "cid"))
        for name in "abec":
            await scene.release(name)
        assert await shared == "made c"

    asyncio.run(run())


def test_a_request_that_waits_too_long_is_refused_and_leaves_the_line() -> None:
    async def run() -> None:
        scene = Scene(wait_seconds=0.01)
        await scene.ask("a")
        with pytest.raises(RendererBusy):
            await (await scene.ask("b"))
        await scene.release("a")
        await scene.ask("c")
        assert scene.started == ["a", "c"]

    asyncio.run(run())


def test_a_rendering_that_nobody_wants_any_more_leaves_the_line() -> None:
    async def run() -> None:
        scene = Scene()
        await scene.ask("a")
        one, other = await scene.ask("b"), await scene.ask("b")
        unwanted = await scene.ask("c")
        for each in (one, unwanted):
            each.cancel()
        await settle()
        await scene.release("a")
        await scene.release("b")
        assert await other == "made b"
        assert scene.started == ["a", "b"]

    asyncio.run(run())


def test_a_rendering_that_runs_is_finished_even_if_nobody_wants_it() -> None:
    async def run() -> None:
        scene = Scene()
        asked = await scene.ask("a")
        asked.cancel()
        await settle()
        await scene.ask("b")
        assert scene.started == ["a"], "it still has its place"
        await scene.release("a")
        assert scene.started == ["a", "b"]

    asyncio.run(run())


def test_requests_that_wait_are_refused_at_the_end() -> None:
    async def run() -> None:
        scene = Scene()
        running, waiting = await scene.ask("a"), await scene.ask("b")
        scene.line.close()
        for refused in (waiting, await scene.ask("c", "bob")):
            with pytest.raises(RendererBusy):
                await refused
        await scene.release("a")
        assert await running == "made a"

    asyncio.run(run())


def test_a_request_that_came_just_before_the_end_is_refused() -> None:
    """It was let in, and its turn was not asked for yet."""

    async def run() -> None:
        scene = Scene()
        running = await scene.ask("a")
        late = asyncio.create_task(scene.line.ask("ann", "b", scene.work("b")))
        await asyncio.sleep(0)
        scene.line.close()
        with pytest.raises(RendererBusy):
            await asyncio.wait_for(late, 60)
        await scene.release("a")
        assert await running == "made a"

    asyncio.run(run())
