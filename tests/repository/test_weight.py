"""Compare docs/weight.md with the measurements."""

import json

from benchmarks.weighing.images import SAMPLES
from benchmarks.weighing.page import PAGE, with_tables
from benchmarks.weighing.report import CONTENTS
from tests.repository.tree import ROOT

RESULTS = json.loads((ROOT / "benchmarks" / "results" / "weight.json").read_text())


def test_the_page_shows_the_latest_measurements() -> None:
    page = PAGE.read_text()
    assert with_tables(page, RESULTS) == page, "run `.venv/bin/python -m benchmarks.weight`"


def test_every_image_was_measured() -> None:
    assert [(image["name"], image["kind"]) for image in RESULTS["images"]] == [
        (sample.name, sample.kind) for sample in SAMPLES
    ]
    kinds = [kind for content in CONTENTS.values() for kind in content]
    assert sorted(kinds) == sorted({sample.kind for sample in SAMPLES})
