"""Compare the figures on look-alikes with the measurements."""

import json

from app.domain.images.similar import EXACT_DISTANCE, MAX_DISTANCE
from tests.repository.tree import API, ROOT, table

MEASURED = json.loads((ROOT / "benchmarks" / "results" / "look_alikes.json").read_text())


def test_the_table_shows_the_latest_measurements() -> None:
    columns = ("what", "median", "max", "found_within_6", "found_within_10")
    expected = [[f"{row[name]:g}" if name != "what" else row[name] for name in columns] for row in MEASURED["rows"]]
    assert [[cell.replace("−", "-") for cell in row] for row in table("change", API)] == expected
    assert (EXACT_DISTANCE, MAX_DISTANCE) == (6, 10)


def test_the_text_shows_the_latest_measurements() -> None:
    text = " ".join(API.split())
    recall, unrelated = MEASURED["random_recall"], MEASURED["unrelated"]
    assert f"random hashes {recall['8']:.0%} at a distance of 8 and {recall['10']:.0%} at 10".replace("%", " %") in text
    assert (recall["6"], unrelated["within_6"]) == (1, 0)
    assert f"Of {unrelated['pairs']:,} pairs of unrelated pieces of photographs, none was within 6" in text
    assert (unrelated["within_8"], unrelated["within_10"]) == (2, 4)
    assert f"Measured on {MEASURED['photographs']} photographs" in text


def test_copies_that_the_documentation_promises_to_find_were_found() -> None:
    for row in MEASURED["rows"]:
        if row["kind"] == "found":
            assert row["found_within_6"] == row["pairs"], row["what"]
