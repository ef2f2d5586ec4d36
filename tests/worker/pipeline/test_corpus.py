"""Every file of `tests/images` ends as `expected.csv` says it must."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from app.domain.errors import ImageError
from app.domain.media import media_type_of
from app.domain.recipe import DEFAULT_RECIPE
from app.worker.jobs import Job
from app.worker.sandbox.parent import Sandbox
from tests.samples import IMAGES

ROWS = list(csv.DictReader((IMAGES / "expected.csv").read_text().splitlines()))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_outcome(row: dict[str, str], tmp_path: Path, sandbox: Sandbox) -> None:
    source = IMAGES / row["file"]
    outcome, code = "reject", ""
    media_type = media_type_of(source.read_bytes()[:64])
    if media_type is not None:
        job = Job(recipe=DEFAULT_RECIPE, media_type=media_type, max_pixels=100_000_000, max_frames=60)
        try:
            processed = sandbox.process(source, tmp_path, job)
            outcome = "accept"
        except ImageError as error:
            code = str(error.code)
    if row["expected"] != "either-but-no-crash":
        assert outcome == row["expected"]
    if outcome == "reject":
        assert media_type is None or code in {"corrupt_image", "too_many_pixels", "unsupported_image"}
        return
    assert {variant.name for variant in processed.variants} == {"thumb", "w320", "w640", "w1280", "w1920"}
    for variant in processed.variants:
        with Image.open(tmp_path / variant.file) as image:
            image.load()
            assert (image.size, image.format.lower()) == ((variant.width, variant.height), variant.format)
            assert not {"icc_profile", "xmp", "comment"} & set(image.info)
            assert set(image.getexif()) <= {0x8298, 0x013B}
