"""Compare benchmarks/README.md and the chart with the measurements of the server."""

from benchmarks import server_report

HINT = "run `.venv/bin/python -m benchmarks.server_report`"


def test_the_page_shows_the_latest_measurements() -> None:
    page = server_report.PAGE.read_text()
    assert server_report.with_tables(page) == page, HINT


def test_the_chart_shows_the_latest_measurements() -> None:
    assert server_report.CHART.read_text() == server_report.chart(), HINT
