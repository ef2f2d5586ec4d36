"""Turns of owners in the self-hosted worker: nobody waits for all images of another owner."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import ImageError
from app.domain.maintenance.pace import Pace
from app.domain.maintenance.reprocess import Reprocessing, Selection
from app.domain.models import FailureCode, Status
from app.worker.queue_loop import run
from app.worker.sandbox.parent import Sandbox
from tests.samples import encoded
from tests.sides import self_hosted
from tests.worker.conftest import SMALL, Bench


class Noting:
    """A sandbox that notes the size of each image, in order. Slow images time out."""

    def __init__(self, inner: Sandbox) -> None:
        self._inner = inner
        self.sizes: list[int] = []

    def process(self, source: Path, *more: Any) -> Any:
        self.sizes.append(source.stat().st_size)
        if source.read_bytes().startswith(b"\x89PNG"):
            raise ImageError(FailureCode.TIMEOUT, "Too slow.")
        return self._inner.process(source, *more)


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Iterator[Bench]:
    (tmp_path / "scratch").mkdir()
    with self_hosted(tmp_path / "data") as side:
        yield Bench(side, tmp_path / "scratch", sandbox)


def slow(seed: int) -> bytes:
    return encoded("PNG", 48, 48, seed=seed)


def work(bench: Bench, sandbox: Any) -> None:
    run(bench.side.queue, bench.worker(sandbox=sandbox), lambda: not bench.side.queue.waiting())


def test_ten_slow_images_of_one_owner_delay_another_owner_by_one(bench: Bench, sandbox: Sandbox) -> None:
    noting = Noting(sandbox)
    slow_ids = [bench.upload(slow(seed), "ann") for seed in range(10)]
    small = encoded("JPEG", 40, 30)
    small_id = bench.upload(small, "bob")
    work(bench, noting)
    assert noting.sizes.index(len(small)) == 1
    assert bench.image(small_id).status is Status.READY
    failures = {bench.image(image_id).error for image_id in slow_ids}
    assert {failure and failure.code for failure in failures} == {FailureCode.TIMEOUT}


def test_an_owner_whose_image_timed_out_waits_behind_all_images_of_others(bench: Bench, sandbox: Sandbox) -> None:
    noting = Noting(sandbox)
    for seed in range(3):
        bench.upload(slow(seed), "ann")
    small = [encoded("JPEG", 40 + number, 30) for number in range(4)]
    for number, body in enumerate(small):
        bench.upload(body, ("bob", "cy")[number % 2])
    work(bench, noting)
    assert noting.sizes[1:5] == [len(body) for body in small]


def test_images_rendered_again_in_bulk_wait_behind_uploads(bench: Bench, sandbox: Sandbox) -> None:
    side = bench.side
    old = [encoded("JPEG", 40 + number, 30) for number in range(3)]
    for body in old:
        bench.upload(body, "ann")
    work(bench, sandbox)
    pace = Pace(side.images, side.queue, ahead=10)
    report = Reprocessing(side.images, side.editor, pace, SMALL, Selection.ALL).run(pause=lambda _: False)
    assert report.queued == 3
    new = [encoded("JPEG", 60 + number, 30) for number in range(2)]
    for body in new:
        bench.upload(body, "ann")
    noting = Noting(sandbox)
    work(bench, noting)
    assert noting.sizes == [len(body) for body in [*new, *old]]
