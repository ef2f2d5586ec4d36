"""Steps of the pipeline: run in order, named when they fail, and planned from the header alone."""

from pathlib import Path

import pytest

from app.domain.errors import ImageError
from app.worker.decode.formats import load_pixels
from app.worker.jobs import Job
from app.worker.pipeline.header import open_checked
from app.worker.pipeline.plan import make_plan
from app.worker.pipeline.steps import STEPS, State, open_image, run
from tests.samples import encoded, photo
from tests.tiers import smoke
from tests.worker.conftest import SMALL
from tests.worker.kinds import KINDS

JOB = Job(recipe=SMALL, media_type="image/jpeg", max_pixels=10**6, max_frames=10)


@pytest.mark.parametrize("kind", smoke(sorted(KINDS, key=lambda kind: kind.startswith(("AVIF ", "HEIC "))), 13))
def test_the_plan_from_the_header_holds_for_the_decoded_image(tmp_path: Path, kind: str) -> None:
    media_type, write = KINDS[kind]
    write(photo(600, 440), tmp_path / "original")
    job = JOB.model_copy(update={"media_type": media_type})
    image, plan = open_checked(tmp_path / "original", job)
    with load_pixels(image, tmp_path / "original") as decoded:
        assert make_plan(decoded, tmp_path / "original", job) == plan


def state(tmp_path: Path, body: bytes) -> State:
    (tmp_path / "original").write_bytes(body)
    (tmp_path / "out").mkdir()
    return State(tmp_path / "original", tmp_path / "out", JOB)


def test_each_step_has_a_name_and_all_close_the_image(tmp_path: Path) -> None:
    finished = run(STEPS, state(tmp_path, encoded()))
    assert [step.__name__ for step in STEPS] == [
        "open_image", "decode", "read_metadata", "resize", "place_crops", "write_variants", "describe",
    ]  # fmt: skip
    assert len(finished.variants) == len(SMALL.variants)
    with pytest.raises(ValueError, match="closed image"):
        finished.image.load()


def test_a_failure_names_its_step(tmp_path: Path) -> None:
    def fail(_: State) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failure:
        run((open_image, fail), state(tmp_path, encoded()))
    assert failure.value.__notes__ == ["fail"]


def test_a_failure_of_a_decoder_is_the_images_fault(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as failure:
        run(STEPS, state(tmp_path, encoded("JPEG", 300, 200)[:2000]))
    assert (failure.value.code, failure.value.__notes__) == ("corrupt_image", ["decode"])
