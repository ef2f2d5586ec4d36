"""Tables and chart of the server's figures: reads, uploads, memory, and images that are processed at the same time.

    .venv/bin/python -m benchmarks.server_report

The tables go between marks of `benchmarks/README.md`, the chart to `results/server.svg`.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.results_file import FOLDER

PAGE = Path(__file__).parent / "README.md"
CHART = FOLDER / "server.svg"
_REQUESTS = {
    "healthz": "`GET /healthz`",
    "record": "`GET /images/{id}`",
    "page": "`GET /images?limit=50`",
    "any record": "different records",
    "any page": "different pages",
}
_SERVERS = {
    "darkroom": "Darkroom",
    "darkroom, from the original": "Darkroom, from the original",
    "starlette": "bare Starlette",
    "busboy": "Node with busboy",
    "fastapi": "bare FastAPI",
}
_BAR, _GAP, _LEFT, _WIDTH = 16, 14, 240, 330
_START, _END = "<!-- {}: written by benchmarks.server_report -->\n", "<!-- end of {} -->"

Document = Mapping[str, Any]
Table = Sequence[Sequence[object]]


def read(name: str) -> Document:
    """Return saved results."""
    document: Document = json.loads((FOLDER / f"{name}.json").read_text())
    return document


def reads(document: Document) -> Table:
    """Return the requests per second of the servers."""
    rows = [["requests a second", "Darkroom", "bare FastAPI", "Darkroom / FastAPI", "bare Starlette"]]
    for row in document["rows"]:
        rates = row["requests_per_second"]
        cells = [rates["darkroom"], rates["fastapi"], row["ratio"], rates["starlette"]]
        rows.append([_REQUESTS[row["request"]], *map(_number, cells)])
    return rows


def uploads(document: Document) -> Table:
    """Return the processor time of an upload on each server."""
    rows = [["5 MB as a form", "processor time of the server", "Darkroom / this one"]]
    rows += [
        [_SERVERS[row["server"]], f"{row['processor_ms']:.1f} ms", _number(row["ratio"])] for row in document["rows"]
    ]
    return rows


def backlog(document: Document) -> Table:
    """Return the rates of images, and the times of reads meanwhile."""
    rows = [["`DARKROOM_WORKERS`", "images a second", "reads: median", "99th percentile"]]
    rows += [
        [row["workers"], f"{row['images_a_second']:.2f}", f"{row['read_p50_ms']} ms", f"{row['read_p99_ms']} ms"]
        for row in document["rows"]
    ]
    return rows


def memory(document: Document) -> Table:
    """Return the memory of the server after uploads and reads."""
    found = document["megabytes"]
    first, *later = found["after_uploads"]
    return [
        ["memory of the server", "MB"],
        ["after 200 uploads and 200 reads", first],
        [f"after {document['uploads']:,} uploads", later[-1]],
        [f"after {document['reads']:,} reads more", found["after_reads"][-1]],
        ["peak", found["peak"]],
        ["growth in 1,000 uploads", found["slope_a_1000_uploads"]],
        ["growth in 1,000 reads", found["slope_a_1000_reads"]],
    ]


def sizes(document: Document) -> Table:
    """Return the times of sizes on demand."""
    missed = document["miss_ms"]
    return [
        ["a new size", "time", "Darkroom / this one"],
        *([_SERVERS.get(name, name), f"{ms} ms", _number(missed["darkroom"] / ms)] for name, ms in missed.items()),
    ]


#: Tables of the page, with the names of their results.
TABLES = {"http": reads, "upload": uploads, "server_memory": memory, "throughput": backlog, "on_demand": sizes}


def with_tables(page: str) -> str:
    """Return the page with the tables of the saved results between their marks."""
    for name, build in TABLES.items():
        start, end = _START.format(name), _END.format(name)
        at = page.index(start) + len(start)
        page = page[:at] + _markdown(build(read(name))) + page[page.index(end) :]
    return page


def _markdown(table: Table) -> str:
    head, *rows = table
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def chart() -> str:
    """Draw the figures as bars in groups."""
    requests = {row["request"]: row for row in read("http")["rows"]}
    groups = {
        f"{_REQUESTS[name].strip('`')}, requests a second": [
            (_SERVERS[server], requests[name]["requests_per_second"][server]) for server in ("darkroom", "fastapi")
        ]
        for name in ("healthz", "record", "page")
    }
    groups["upload of 5 MB, ms of the server's processor"] = [
        (_SERVERS[row["server"]], row["processor_ms"]) for row in read("upload")["rows"]
    ]
    groups["12 MP photographs a second, two cores"] = [
        (f"{row['workers']} at the same time", row["images_a_second"]) for row in read("throughput")["rows"]
    ]
    return _svg("Darkroom's server on one core, images on two", groups)


def _svg(title: str, groups: Mapping[str, Sequence[tuple[str, float]]]) -> str:
    marks: list[str] = []
    y = 44
    for name, bars in groups.items():
        marks.append(f'<text x="8" y="{y + 4}" class="group">{escape(name)}</text>')
        y += 12
        longest = max(value for _, value in bars)
        for label, value in bars:
            length = _WIDTH * value / longest
            color = "#0958d9" if label == "Darkroom" or label.startswith("2 ") else "#a6a6a6"
            marks += [
                f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR - 3}" fill="{color}"/>',
                f'<text x="{_LEFT + length + 6:.1f}" y="{y + 11}">{_number(value)}</text>',
            ]
            y += _BAR
        y += _GAP
    style = "text{font:12px system-ui,sans-serif;fill:#444}.group{font-weight:600;fill:#111}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 {y}" width="660" height="{y}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{style}</style>\n<rect width="660" height="{y}" fill="#fff"/>\n'
        f'<text x="8" y="20">{escape(title)}</text>\n' + "\n".join(marks) + "\n</svg>\n"
    )


def main() -> None:
    """Write tables and chart."""
    PAGE.write_text(with_tables(PAGE.read_text()))
    CHART.write_text(chart())


if __name__ == "__main__":
    main()
