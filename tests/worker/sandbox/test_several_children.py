"""Several child processes at a time, and the small ones that estimate memory."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image as Pillow

from app.domain.errors import ImageError
from app.domain.models import FailureCode, Status
from app.domain.recipe import DEFAULT_RECIPE
from app.worker.jobs import Job, Processed
from app.worker.memory_budget import PROCESS_MB, MemoryBudget
from app.worker.queue_loop import run
from app.worker.sandbox.parent import HEADER_MB, Sandbox
from tests.samples import encoded
from tests.sides import self_hosted
from tests.worker import stubs
from tests.worker.conftest import SMALL, Bench

JOB = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=100_000_000, max_frames=60)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Folders of images, each with the original and an empty one for variants."""
    made = [tmp_path / str(number) for number in range(24)]
    for number, folder in enumerate(made):
        (folder / "out").mkdir(parents=True)
        (folder / "original").write_bytes(encoded("JPEG", 40 + number, 30))
    return made


def test_many_threads_each_get_the_result_of_their_child(folders: list[Path], sandbox: Sandbox) -> None:
    def process(folder: Path) -> int:
        return sandbox.process(folder / "original", folder / "out", JOB).width

    with ThreadPoolExecutor(6) as pool:
        widths = list(pool.map(process, folders))
    assert widths == [40 + number for number in range(24)]
    assert not sandbox._running


def test_the_fault_of_one_child_is_not_that_of_another(folders: list[Path], sandbox: Sandbox) -> None:
    faulty = [Sandbox(60, 1024, work=work) for work in (stubs.crash, stubs.leave, stubs.kill_self)]

    def process(number: int) -> str:
        folder = folders[number]
        made = sandbox if number % 2 else faulty[number // 2 % 3]
        try:
            made.process(folder / "original", folder / "out", JOB)
        except ImageError as error:
            return str(error.code)
        return "ready"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(process, range(12)))
    assert outcomes == ["crashed", "ready"] * 6


def test_closing_a_sandbox_ends_all_its_children(folders: list[Path]) -> None:
    sandbox = Sandbox(300, 1024, work=stubs.sleep_and_report)
    started = [threading.Event() for _ in range(3)]

    def process(number: int) -> str:
        folder = folders[number]
        try:
            sandbox.process(folder / "original", folder / "out", JOB)
        except ImageError as error:
            return str(error.code)
        return "ready"

    def close() -> None:
        for folder, event in zip(folders, started, strict=False):
            while not (folder / "out" / "pid").exists():
                event.wait(0.01)
        sandbox.close()

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(process, number) for number in range(3)]
        close()  # each is tried once more, as after any kill from outside
        for folder in folders[:3]:
            (folder / "out" / "pid").unlink(missing_ok=True)
        close()
        assert [result.result(120) for result in results] == ["crashed"] * 3


@pytest.mark.parametrize(
    ("file_format", "size"), [("JPEG", (4000, 3000)), ("PNG", (1000, 1000)), ("WEBP", (800, 600)), ("GIF", (300, 200))]
)
def test_an_image_is_processed_within_its_estimate(
    tmp_path: Path, sandbox: Sandbox, file_format: str, size: tuple[int, int]
) -> None:
    source, out = tmp_path / "original", tmp_path / "out"
    out.mkdir()
    source.write_bytes(encoded(file_format, *size))
    job = JOB.model_copy(update={"recipe": DEFAULT_RECIPE, "media_type": f"image/{file_format.lower()}"})
    bound = sandbox.estimate(source, out, job)
    assert 16 < bound < 600
    assert sandbox.process(source, out, job, memory_mb=bound).variants


def test_a_fault_that_the_header_shows_is_that_of_the_image(tmp_path: Path, sandbox: Sandbox) -> None:
    source, out = tmp_path / "original", tmp_path / "out"
    out.mkdir()
    source.write_bytes(encoded("JPEG", 200, 100))
    for job, code in (
        (JOB.model_copy(update={"max_pixels": 100}), FailureCode.TOO_MANY_PIXELS),
        (JOB.model_copy(update={"media_type": "image/png"}), FailureCode.CORRUPT_IMAGE),
    ):
        with pytest.raises(ImageError) as refused:
            sandbox.estimate(source, out, job)
        assert refused.value.code == code


@pytest.mark.slow
def test_a_header_that_takes_much_memory_needs_the_whole_bound(tmp_path: Path, sandbox: Sandbox) -> None:
    source, out = tmp_path / "original", tmp_path / "out"
    out.mkdir()
    with source.open("wb") as file:  # Pillow allocates its canvas when it is opened
        Pillow.new("RGB", (8000, 6500), "navy").save(file, "WEBP", method=0)
    job = JOB.model_copy(update={"media_type": "image/webp"})
    assert sandbox.estimate(source, out, job) == sandbox.memory_mb


class Measured:
    """A sandbox that notes the bounds that are taken at the same time, and the largest part of its bound that a child
    has used."""

    def __init__(self, inner: Sandbox) -> None:
        self.memory_mb = inner.memory_mb
        self.most_memory, self.most_at_once, self.largest_part = 0, 0, 0.0
        self._inner = inner
        self._taken: list[int] = []
        self._lock = threading.Lock()

    @contextmanager
    def _noted(self, mb: int) -> Iterator[None]:
        with self._lock:
            self._taken.append(mb + PROCESS_MB)
            self.most_memory = max(self.most_memory, sum(self._taken))
            self.most_at_once = max(self.most_at_once, len(self._taken))
        try:
            yield
        finally:
            with self._lock:
                self._taken.remove(mb + PROCESS_MB)

    def estimate(self, source: Path, out: Path, job: Job) -> int:
        with self._noted(HEADER_MB):
            return self._inner.estimate(source, out, job)

    def process(self, source: Path, out: Path, job: Job, *, memory_mb: int | None = None) -> Processed:
        bound = memory_mb or self.memory_mb
        with self._noted(bound):
            processed = self._inner.process(source, out, job, memory_mb=bound)
        self.largest_part = max(self.largest_part, (processed.memory_mb or 0) / (bound + 2 * PROCESS_MB))
        return processed


@pytest.mark.slow
def test_four_images_of_100_megapixels_at_once_stay_within_the_budget(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    sandbox = Sandbox(300, 1024)
    measured = Measured(sandbox)
    budget = 1400
    with self_hosted(tmp_path / "data") as side:
        bench = Bench(side, tmp_path / "scratch", sandbox)
        ids = []
        for number in range(4):
            body = io.BytesIO()
            Pillow.new("RGB", (10_000, 10_000), (number, 90, 120)).save(body, "JPEG", quality=50)
            ids.append(bench.upload(body.getvalue(), f"owner{number}"))

        def is_done() -> bool:
            return all(bench.image(image_id).status is not Status.PENDING for image_id in ids)

        worker = bench.worker(sandbox=measured, recipe=DEFAULT_RECIPE)  # type: ignore[arg-type]
        run(side.queue, worker, is_done, slots=4, memory=MemoryBudget(budget))
        assert [bench.image(image_id).status for image_id in ids] == [Status.READY] * 4
    assert measured.most_memory <= budget
    assert measured.most_at_once >= 2
    assert 0 < measured.largest_part <= 1
    sandbox.close()
