"""An image that ends the whole worker, not only its own process, such as by the memory of a container."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.sqlite import SqliteQueue
from app.domain.models import Status, utcnow
from app.worker.process import Worker
from app.worker.queue_loop import run
from app.worker.sandbox.parent import Sandbox
from tests.samples import encoded
from tests.sides import Side, self_hosted
from tests.worker.conftest import Bench


class Killed(BaseException):
    """The worker is gone."""


class Deadly(Sandbox):
    """A worker whose process ends with some images."""

    def __init__(self, inner: Sandbox, deadly: int) -> None:
        self._inner = inner
        self._deadly = deadly

    def process(self, source: Path, *more: Any) -> Any:
        if source.stat().st_size == self._deadly:
            raise Killed
        return self._inner.process(source, *more)


def live(side: Side, worker: Worker, slots: int) -> bool:
    """One life of a self-hosted worker, from its start to the end of its work; False if it was killed before."""
    assert isinstance(side.queue, SqliteQueue)
    side.queue.recover()
    side.reconciler.run(requeue_after=timedelta(0))
    try:
        while side.queue.waiting():  # at its end the loop gives back the messages that it holds
            run(side.queue, worker, lambda: not side.queue.waiting(), slots=slots)
    except Killed:
        return False
    return True


@pytest.mark.parametrize("slots", [1, 3])
def test_a_picture_that_kills_every_worker_comes_to_its_end(tmp_path: Path, sandbox: Sandbox, slots: int) -> None:
    (tmp_path / "scratch").mkdir()
    with self_hosted(tmp_path / "data") as side:
        bench = Bench(side, tmp_path / "scratch", sandbox)
        deadly, good = encoded(width=40), encoded(width=50)
        ids = [bench.upload(good), bench.upload(deadly), *(bench.upload(encoded(width=60 + n)) for n in range(4))]
        worker = bench.worker(sandbox=Deadly(sandbox, len(deadly)))
        lives = 1
        while not live(side, worker, slots):
            lives += 1
            assert lives <= 7, "it is processed for ever"
            assert side.queue.waiting() <= 2 * len(ids), "the queue grows with every start"
        assert {bench.image(image_id).status for image_id in (ids[0], *ids[2:])} == {Status.READY}
        assert bench.image(ids[1]).status is Status.PENDING
        assert side.queue.waiting() == 0
        report = side.reconciler.run(now=utcnow() + timedelta(hours=2))
        assert (report.given_up, report.queued_again) == (1, 0)
        assert bench.image(ids[1]).status is Status.FAILED
