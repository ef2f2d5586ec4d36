"""Compare the figures on webhooks with the measurements."""

import json

from tests.repository.tree import ROOT, table

FOUND = json.loads((ROOT / "benchmarks" / "results" / "webhooks.json").read_text())


def test_the_table_shows_the_latest_measurements() -> None:
    outage, uploads = FOUND["outage"], FOUND["uploads"]
    shown = [row[1] for row in table("webhooks", (ROOT / "benchmarks" / "README.md").read_text())]
    assert shown == [
        f"{outage['made_while_down']:,}",
        f"{outage['events_per_second']} a second",
        str(outage["duplicates"]),
        str(outage["lost"]),
        *(f"{uploads[f'p50_ms_{name}']:.0f} ms, {uploads[f'p99_ms_{name}']:.0f} ms" for name in ("without", "during")),
        f"{uploads['p50_ratio']:.2f}, {uploads['p99_ratio']:.2f}",
    ]
    assert outage["lost"] == outage["unknown_ids"] == 0
