"""Compare the cold starts on docs/aws.md with the measured ones and with the promised bounds."""

import json
from typing import Any

import pytest

from benchmarks.cold_start import RATIO
from tests.repository.tree import AWS, ROOT, table

RESULTS: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "cold_start.json").read_text())
WARM: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "warm_reads.json").read_text())["handlers"]
#: Rows of the page and their names in the results.
ROWS = {
    "Python and Lambda's client alone": "empty",
    "the libraries and clients alone": "libraries",
    "**Darkroom**": "ours",
}


def test_the_table_of_the_page_is_the_measured_one() -> None:
    wanted = [
        [label, *(f"{RESULTS['functions'][name]['handlers'][kind][figure]:.0f}" for name in ("api", "worker")
                  for figure in ("init_ms", "cpu_ms"))]
        for label, kind in ROWS.items()
    ]  # fmt: skip
    assert table("a start, one core", AWS) == wanted, "\n".join("| " + " | ".join(row) + " |" for row in wanted)


@pytest.mark.parametrize("name", ["api", "worker"])
def test_the_application_adds_little_to_its_libraries(name: str) -> None:
    assert RESULTS["functions"][name]["ours_over_libraries"]["cpu"] <= RATIO


def test_a_warm_record_is_quick() -> None:
    assert RESULTS["warm_get"]["application_ms"] <= RESULTS["warm_get"]["aim_ms"]


def test_the_table_of_warm_reads_is_the_measured_one() -> None:
    kinds = {
        "Lambda's client alone": "empty",
        "Darkroom, when views were made from validated records": "before",
        "**Darkroom**": "ours",
    }
    wanted = [
        [label, *(f"{WARM[kind][call]['cpu_ms']:.1f}" for call in ("record", "page"))] for label, kind in kinds.items()
    ]
    assert table("a warm call, one core", AWS) == wanted, "\n".join("| " + " | ".join(row) + " |" for row in wanted)


def test_warm_reads_take_less_than_before() -> None:
    assert all(WARM["ours"][call]["cpu_ms"] < WARM["before"][call]["cpu_ms"] for call in ("record", "page"))
