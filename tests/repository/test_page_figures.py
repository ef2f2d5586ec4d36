"""Compare the figures on uploads of the page with the measurements."""

import json

from tests.repository.tree import ROOT, table

UPLOAD = json.loads((ROOT / "benchmarks" / "results" / "page.json").read_text())["upload"]


def test_the_table_shows_the_latest_measurements() -> None:
    document = (ROOT / "benchmarks" / "README.md").read_text()
    ways = ("curl", "curls")
    expected = [
        [
            name,
            *(f"{UPLOAD[kind][way]:.0f} MB/s" for way in (*ways, "page")),
            *(f"{UPLOAD[kind]['page_against'][way]:.2f}" for way in ways),
        ]
        for name, kind in (("paused", "worker_paused"), ("running", "worker_running"))
    ]
    assert table("worker", document) == expected
