"""Compare docs/memory.md with the measurements, and the estimate with the memory used."""

import json

from benchmarks.render import memory
from tests.repository.tree import ROOT
from tests.worker.kinds import KINDS

DOCUMENT = json.loads((ROOT / "benchmarks" / "results" / "memory.json").read_text())


def test_the_page_shows_the_latest_measurements() -> None:
    page = memory.PAGE.read_text()
    assert memory.with_table(page, DOCUMENT) == page, "run `.venv/bin/python -m benchmarks.render.memory`"


def test_every_accepted_format_was_measured_at_every_size() -> None:
    measured = {(row["format"], row["megapixels"]) for row in DOCUMENT["rows"]}
    assert measured == {(kind, size) for kind in memory.USUAL for size in memory.SIZES}
    assert {KINDS[kind][0] for kind in memory.USUAL} == {media_type for media_type, _ in KINDS.values()}


def test_the_estimate_is_enough_and_for_large_images_less_than_twice_the_memory_used() -> None:
    for row in DOCUMENT["rows"]:
        assert row["added_space_mb"] <= row["estimated_mb"], row
        if row["added_space_mb"] > 300:
            assert row["estimated_mb"] < 1.6 * row["added_space_mb"], row
