"""Loop of the self-hosted worker over its queue."""

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.errors import Full, Unavailable
from app.domain.models import Status
from app.worker.queue_loop import run
from tests.samples import encoded
from tests.sides import Interposed
from tests.worker.conftest import Bench


def until(done: Callable[[], bool], looks: int = 50) -> Callable[[], bool]:
    """Stop when done, or fail after that many checks."""
    left = [looks]

    def stop() -> bool:
        left[0] -= 1
        assert left[0] > 0, "the loop never came to its end"
        return done()

    return stop


@pytest.mark.moto
def test_uploads_become_ready(bench: Bench) -> None:
    ids = [bench.upload(encoded(seed=seed)) for seed in range(3)]
    run(bench.side.queue, bench.worker(), until(lambda: all(bench.image(i).status is Status.READY for i in ids)))
    assert not bench.side.queue.receive()


def test_junk_is_removed_from_the_queue(bench: Bench) -> None:
    bench.side.queue.send("junk")
    image_id = bench.upload(encoded())
    run(bench.side.queue, bench.worker(), until(lambda: bench.image(image_id).status is Status.READY))
    assert not bench.side.queue.receive()
    assert bench.side.queue.dead_letters() == 0


@pytest.mark.slow
def test_a_failed_attempt_is_repeated_until_it_is_a_dead_letter(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    delays: list[int] = []

    def refuse(*_: Any) -> None:
        raise Unavailable("no")

    class Impatient:
        """A queue that notes each delay and does not wait."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.side.queue, name)

        def release(self, receipt: str, *, delay: int = 0) -> None:
            delays.append(delay)
            bench.side.queue.release(receipt)

    worker = bench.worker(store=Interposed(bench.side.store, before={"open": refuse}))
    run(Impatient(), worker, until(lambda: bench.side.queue.dead_letters() == 1))
    assert delays == [2, 10, 0]
    image = bench.image(image_id)
    assert image.error
    assert image.error.code == "attempts_exhausted"
    bench.side.queue.redrive()
    run(bench.side.queue, bench.worker(), until(lambda: bench.image(image_id).status is Status.READY))


def test_a_failing_queue_is_tried_again(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    pauses: list[float] = []
    left = [Unavailable("no"), OSError("disk"), ValueError("bug")]

    def fail(*_: Any, **__: Any) -> None:
        if left:
            raise left.pop()

    queue = Interposed(bench.side.queue, before={"receive": fail})
    stop = until(lambda: bench.image(image_id).status is Status.READY)
    run(queue, bench.worker(), stop, pause=pauses.append)
    assert pauses == [0.2, 0.4, 0.8]


def test_no_attempt_is_made_while_the_disk_has_no_space(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    image_id = bench.upload(encoded())
    pauses: list[float] = []
    received: list[None] = []

    def check_space() -> None:
        if len(pauses) < 2:
            assert not received
            raise Full("no space")

    queue = Interposed(bench.side.queue, before={"receive": lambda *_, **__: received.append(None)})
    stop = until(lambda: bench.image(image_id).status is Status.READY)
    run(queue, bench.worker(), stop, check_space=check_space, pause=pauses.append)
    assert pauses == [0.2, 0.4]
    assert "waits for disk space" in caplog.text
