"""Compare the costs on docs/aws.md and README.md with the calculated ones."""

import json
import re

import pytest

from benchmarks import bill, capacity
from tests.repository.tree import AWS, README, ROOT

AGAIN = "run `.venv/bin/python -m benchmarks.bill`"


def test_the_bill_is_calculated_from_the_latest_measurements() -> None:
    saved = json.loads((bill.RESULTS / "bill.json").read_text())
    assert saved == json.loads(json.dumps(bill.bill())), AGAIN


def test_the_page_shows_the_bill() -> None:
    assert bill.with_tables(AWS, bill.bill()) == AWS, AGAIN


@pytest.mark.parametrize("page", [AWS, README], ids=["aws", "readme"])
def test_the_sentence_on_costs_agrees_with_the_tables(page: str) -> None:
    said = re.search(r"About (\d+) cents for 1,000 photographs of 3 MB, and (\d+) cents a month", page)
    assert said
    dollars = bill.bill()["dollars"]
    assert [int(cents) for cents in said.groups()] == [
        round(100_000 * dollars["making"]),
        round(100_000 * dollars["keeping_a_month"]),
    ]
    assert bill.bill()["assumptions"]["original_bytes"] == 3_000_000


def test_the_costs_of_an_idle_stack_are_those_of_the_bill() -> None:
    found = bill.bill()
    shown = ", ".join(f"{line['what']} {line['dollars']:.2f}" for line in found["idle_a_month"])
    said = f"Idle, {found['dollars']['idle_a_month']:.2f} dollars a month: {shown}."
    assert said in " ".join(AWS.split())
    idle = f"idle, {found['dollars']['idle_a_month']:.2f} dollars a month"
    assert idle in " ".join(README.split())
    template = (ROOT / "template.yaml").read_text()
    optional = template.count("Type: AWS::CloudWatch::Alarm\n    Condition: ")
    assert template.count("Type: AWS::CloudWatch::Alarm") - optional == found["assumptions"]["alarms"]
    assert template.count("Type: AWS::SecretsManager::Secret") == 1
    assert template.count("DockerBuildTarget: ") == found["assumptions"]["images"]


def test_the_cost_of_waiting_is_the_price_of_the_function() -> None:
    cents = 100_000 * bill.dollars_of("lambda_gb_second") * bill.prices()["assumptions"]["api_gb"]
    assert f"Each second of `?wait=` adds {cents:.1f} cents for 1,000 uploads" in " ".join(AWS.split())


def test_every_price_has_its_source_and_how_it_was_checked() -> None:
    given = bill.prices()
    said = [price for price in given["aws"].values() if isinstance(price, dict)] + given["peers"]
    assert len(said) > 15
    for price in said:
        assert price["source"]
        assert price["checked"] in {"documentation", "second hand"}


def test_the_bill_adds_up() -> None:
    """Check the lines of the queue and of the table by hand."""
    found = bill.bill()
    measured = found["measured"]
    table = next(line for line in found["making"] if line["what"].startswith("table"))
    reads = measured["read_units"] + measured["look_read_units"]
    assert table["dollars"] == pytest.approx(measured["write_units"] * 0.625e-6 + reads * 0.125e-6)
    assert found["dollars"]["making"] == pytest.approx(sum(line["dollars"] for line in found["making"]))
    capacity_row = next(
        row
        for row in json.loads((bill.RESULTS / "capacity.json").read_text())["rows"]
        if row["what"] == "one image, from upload to ready"
    )
    use = capacity.Use(capacity_row["read_units"], capacity_row["write_units"])
    use.calls.update(capacity_row["requests"])
    assert capacity.dollars(use) == pytest.approx(capacity_row["dollars_a_million"], abs=0.01)


def test_the_page_on_growth_has_the_same_figures() -> None:
    found = bill.bill()
    measured, suppose = found["measured"], found["assumptions"]
    page = " ".join((ROOT / "docs" / "growth.md").read_text().split())
    seconds = measured["develop_cpu_ms"] / 1000 + suppose["moving_seconds"]
    said = re.search(
        r"(\d+) write units and (\d+) read units, (\d+) S3 writes and (\d+) S3 read, ([\d.]+) s of worker", page
    )
    assert said
    assert [float(figure) for figure in said.groups()] == [
        measured["write_units"], measured["read_units"], measured["s3_writes"], measured["s3_reads"],
        pytest.approx(seconds, abs=0.005),
    ]  # fmt: skip
    assert f"{suppose['record_bytes']:,} bytes of record" in page
    concurrency = re.search(r"`MaximumConcurrency` (\d+) \| ([\d.]+) images/s", page)
    assert concurrency
    assert float(concurrency[2]) == pytest.approx(int(concurrency[1]) / float(said[5]), abs=0.05)
    for figure in (
        f"5 executions / {seconds:.2f} s = {5 / seconds:.1f} images a second",
        f"{float(concurrency[2]) * 0.0864:.2f} million a day",
        f"{float(concurrency[2])} × 86,400 = {round(float(concurrency[2]) * 86_400, -3):,.0f} waiting",
        f"1,000 executions do {round(1000 / seconds, -1):,.0f}/s",
        f"6 writes of S3, {seconds:.2f} s and",
    ):
        assert figure in page
    worker = next(line for line in found["making"] if line["what"].startswith("worker"))
    assert f"{round(1e9 * worker['dollars'], -3):,.0f} dollars of worker" in page
    rows = json.loads((bill.RESULTS / "capacity.json").read_text())["rows"]
    calls = [row for row in rows if row["what"] in {"reprocess", "worker: a reprocessed image"}]
    again = worker["dollars"] + sum(row["dollars_a_million"] for row in calls) / 1e6
    assert f"{sum(row['write_units'] for row in calls)} write units cost about" in page
    assert f"about {100_000 * again:.1f} cents for 1,000; {round(1e9 * again, -3):,.0f} dollars" in page
    template = (ROOT / "template.yaml").read_text()
    default = re.search(r"MaximumConcurrency:\n +Type: Number\n +Default: (\d+)", template)
    assert default
    assert default[1] == concurrency[1]


def test_the_dashboards_prices_are_these() -> None:
    template = (ROOT / "template.yaml").read_text()
    for name in ("lambda_gb_second", "lambda_gb_second_arm", "lambda_request", "http_api_request",
                 "dynamodb_write_unit", "dynamodb_read_unit"):  # fmt: skip
        shown = f"{bill.dollars_of(name):.10f}".rstrip("0")
        assert shown in template, name
