"""Several images at a time: slots, processors, memory, and images that end the whole worker."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.adapters.sqlite import SqliteQueue
from app.domain.errors import ImageError
from app.domain.models import FailureCode, Status
from app.worker.jobs import Job, Processed
from app.worker.memory_budget import PROCESS_MB, MemoryBudget
from app.worker.queue_loop import run
from app.worker.sandbox.parent import HEADER_MB, Sandbox
from tests.samples import encoded
from tests.sides import self_hosted
from tests.worker.conftest import Bench

BOUND = 1000


class Watched:
    """A sandbox that notes jobs, how many run at the same time, and their memory bounds. `before` is called in each.

    With `estimates`, in order, its jobs need so much memory.
    """

    def __init__(
        self,
        inner: Sandbox,
        before: Callable[[bytes, int], None] = lambda *_: None,
        estimates: list[int] | None = None,
    ) -> None:
        self.memory_mb = BOUND
        self.jobs: list[Job] = []
        self.bounds: list[int] = []
        self.most_at_once = self.most_memory = 0
        self._inner = inner
        self._before = before
        self._estimates = estimates or []
        self._running: list[int] = []
        self._lock = threading.Lock()

    @contextmanager
    def _noted(self, memory_mb: int) -> Iterator[None]:
        with self._lock:
            self._running.append(memory_mb + PROCESS_MB)
            self.most_at_once = max(self.most_at_once, len(self._running))
            self.most_memory = max(self.most_memory, sum(self._running))
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(memory_mb + PROCESS_MB)

    def process(self, source: Path, out: Path, job: Job, *, memory_mb: int | None = None) -> Processed:
        bound = memory_mb or self.memory_mb
        with self._noted(bound):
            self.jobs.append(job)
            self.bounds.append(bound)
            self._before(source.read_bytes(), bound)
            return self._inner.process(source, out, job)

    def estimate(self, source: Path, out: Path, job: Job) -> int:
        with self._noted(HEADER_MB):
            return self._estimates.pop(0)


@pytest.fixture
def bench(tmp_path: Path, sandbox: Sandbox) -> Iterator[Bench]:
    (tmp_path / "scratch").mkdir()
    with self_hosted(tmp_path / "data") as side:
        yield Bench(side, tmp_path / "scratch", sandbox)


def upload(bench: Bench, count: int) -> list[str]:
    return [bench.upload(encoded("JPEG", 40 + number, 30), "ann") for number in range(count)]


def all_ready(bench: Bench, ids: list[str]) -> Callable[[], bool]:
    return lambda: all(bench.image(image_id).status is Status.READY for image_id in ids)


def work(bench: Bench, sandbox: Any, ids: list[str], slots: int, memory: MemoryBudget | None = None) -> None:
    """Run until all these images are ready."""
    is_done = all_ready(bench, ids)
    run(bench.side.queue, bench.worker(sandbox=sandbox), is_done, slots=slots, memory=memory)


def test_as_many_images_are_processed_at_once_as_there_are_slots(bench: Bench, sandbox: Sandbox) -> None:
    ids = upload(bench, 9)
    together = threading.Barrier(3)
    watched = Watched(sandbox, lambda *_: together.wait(60) and None)
    work(bench, watched, ids, slots=3)
    assert watched.most_at_once == 3
    assert len(watched.jobs) == 9
    assert bench.side.queue.waiting() == bench.side.queue.dead_letters() == 0


def test_no_message_is_received_without_a_free_slot(bench: Bench, sandbox: Sandbox) -> None:
    ids = upload(bench, 6)
    waiting: list[int] = []
    both = threading.Barrier(2)

    def look(*_: Any) -> None:
        both.wait(60)
        waiting.append(bench.side.queue.waiting())
        both.wait(60)

    work(bench, Watched(sandbox, look), ids, slots=2)
    assert waiting == [4, 4, 2, 2, 0, 0]


def test_images_that_run_together_share_the_processors(
    bench: Bench, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.queue_loop.usable_cpus", lambda: 3)
    together = threading.Barrier(3)
    watched = Watched(sandbox, lambda *_: together.wait(60) and None)
    work(bench, watched, upload(bench, 3), slots=3)
    assert [job.threads for job in watched.jobs] == [2, 2, 2]  # no image waits for the processor of the first that ends
    watched = Watched(sandbox, lambda *_: together.wait(60) and None)
    work(bench, watched, upload(bench, 9)[3:], slots=3)
    assert [job.threads for job in watched.jobs[:3]] == [1, 1, 1]  # three others wait
    alone = [bench.upload(encoded("JPEG", 90, 30), "ann")]
    watched = Watched(sandbox)
    work(bench, watched, alone, slots=3)
    assert [job.threads for job in watched.jobs] == [3]


def test_a_repeated_image_waits_for_those_in_progress_and_others_wait_for_it(bench: Bench, sandbox: Sandbox) -> None:
    queue = bench.side.queue
    assert isinstance(queue, SqliteQueue)
    repeated = [bench.upload(encoded("PNG", 50, 50), "ann")]
    assert len(queue.receive()) == 1
    queue.recover()
    ids = repeated + [bench.upload(encoded("JPEG", 40 + number, 30), "bob") for number in range(6)]
    in_progress: list[str] = []
    beside_the_repeated: list[list[str]] = []
    lock = threading.Lock()

    class Noting(Watched):
        def process(self, source: Path, out: Path, job: Job, *, memory_mb: int | None = None) -> Processed:
            with lock:
                in_progress.append(job.media_type)
                if "image/png" in in_progress:
                    beside_the_repeated.append(list(in_progress))
            try:
                return super().process(source, out, job, memory_mb=memory_mb)
            finally:
                with lock:
                    in_progress.remove(job.media_type)

    work(bench, Noting(sandbox), ids, slots=3)
    assert beside_the_repeated == [["image/png"]]


def test_images_stay_within_the_memory_budget_and_a_large_one_is_not_starved(bench: Bench, sandbox: Sandbox) -> None:
    ids = upload(bench, 8)
    budget = 2 * (300 + PROCESS_MB)
    watched = Watched(sandbox, estimates=[300, 300, 600, 300, 300, 300, 900, 300])
    work(bench, watched, ids, slots=4, memory=MemoryBudget(budget))
    assert watched.bounds == [300, 300, 600, 300, 300, 300, 900, 300]  # in the order of their requests
    assert watched.most_memory <= 900 + PROCESS_MB  # more than the whole budget: alone
    assert watched.most_at_once >= 2


def test_an_image_that_needs_more_than_estimated_gets_the_whole_bound(bench: Bench, sandbox: Sandbox) -> None:
    ids = upload(bench, 2)

    def fill(_: bytes, bound: int) -> None:
        if bound < BOUND:
            raise ImageError(FailureCode.MEMORY, "not enough")

    watched = Watched(sandbox, fill, estimates=[100, 100])
    work(bench, watched, ids, slots=2, memory=MemoryBudget(BOUND + PROCESS_MB))
    assert sorted(watched.bounds) == [100, 100, BOUND, BOUND]
    assert watched.most_memory <= BOUND + PROCESS_MB


def test_an_image_that_waits_for_memory_when_the_worker_stops_has_used_no_attempt(
    bench: Bench, sandbox: Sandbox
) -> None:
    queue = bench.side.queue
    ids = upload(bench, 2)
    stop, waits = threading.Event(), threading.Event()

    class Noting(Watched):
        def estimate(self, source: Path, out: Path, job: Job) -> int:
            if len(self._estimates) == 1:
                waits.set()
            return super().estimate(source, out, job)

    def hold(*_: Any) -> None:
        assert waits.wait(60)
        stop.set()

    watched = Noting(sandbox, hold, estimates=[600, 600])
    run(queue, bench.worker(sandbox=watched), stop.is_set, slots=2, memory=MemoryBudget(1000))
    assert len(watched.jobs) == 1
    statuses = sorted(bench.image(image_id).status for image_id in ids)
    assert statuses == [Status.PENDING, Status.READY]
    (message,) = queue.receive()
    assert message.receive_count == 1


def test_a_killed_worker_takes_no_attempt_from_an_image_that_waits_for_memory(bench: Bench, sandbox: Sandbox) -> None:
    """The worker ends while one image is processed and another one waits: only the first has used an attempt."""
    queue = bench.side.queue
    assert isinstance(queue, SqliteQueue)
    ids = upload(bench, 2)
    counts: list[int] = []
    asked = threading.Event()

    class Noting(Watched):
        def estimate(self, source: Path, out: Path, job: Job) -> int:
            if len(self._estimates) == 1:
                asked.set()
            return super().estimate(source, out, job)

    def look(*_: Any) -> None:
        if not counts:
            assert asked.wait(60)
            with queue._database.reading() as connection:
                counts.extend(count for (count,) in connection.execute("SELECT receives FROM messages ORDER BY id"))

    work(bench, Noting(sandbox, look, estimates=[600, 600]), ids, slots=2, memory=MemoryBudget(1000))
    assert sorted(counts) == [0, 1]


def test_messages_in_progress_stay_invisible(bench: Bench, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.worker.queue_loop._EXTEND_EVERY", 0.05)
    extended = threading.Event()

    class Extending:
        """A queue that notes when a message was extended twice."""

        def __init__(self) -> None:
            self.receipts: list[str] = []

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.side.queue, name)

        def extend(self, receipt: str, seconds: int, *, started: bool = True) -> None:
            assert started
            bench.side.queue.extend(receipt, seconds)
            self.receipts.append(receipt)
            if len(self.receipts) > 1:
                extended.set()

    ids = upload(bench, 1)
    queue: Any = Extending()
    watched = Watched(sandbox, lambda *_: extended.wait(60) and None)
    run(queue, bench.worker(sandbox=watched), all_ready(bench, ids), slots=1)
    assert len(set(queue.receipts)) == 1
