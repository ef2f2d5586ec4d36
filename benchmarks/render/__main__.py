"""Time and memory of rendering, compared with sharp and libvips: `make bench`.

    .venv/bin/python -m benchmarks.render [rounds] [--only row,row [--keep]]

Every engine is a process that lives through all rounds and does a whole job for each request. Engines take turns
(A B C A B C), and a ratio is the median of the ratios of each round. Prints a table and writes
`benchmarks/results/render.json` and the README's chart.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.render import chart, report
from benchmarks.render.images import FOLDER, make
from benchmarks.render.measure import Series, interleaved
from benchmarks.render.peers import PYTHON, ROOT, SCRATCH, install
from benchmarks.render.rows import ROWS, Row

RESULTS = ROOT / "benchmarks" / "results"


def main() -> int:
    """Measure the rows; return the exit status."""
    options = argparse.ArgumentParser(prog="benchmarks.render")
    options.add_argument("rounds", type=int, nargs="?", default=11)
    options.add_argument("--only", default="", help="comma-separated names of rows; nothing is written then")
    options.add_argument("--keep", action="store_true", help="also write those rows, each with its date")
    asked = options.parse_args()
    only = {name for name in asked.only.split(",") if name}
    install()
    make()
    rows = [measured(row, asked.rounds) for row in ROWS if not only or row.name in only]
    if only and not asked.keep:
        print(report.table(rows))
        return 0
    results = RESULTS / "render.json"
    if only:
        new = {row["name"]: row for row in rows}
        rows = [new.get(row["name"], row) for row in json.loads(results.read_text())["rows"]]
    document = report.document(rows, asked.rounds)
    RESULTS.mkdir(exist_ok=True)
    results.write_text(json.dumps(document, indent=1) + "\n")
    (RESULTS / "render.svg").write_text(chart.svg(document))
    print(report.table(rows))
    print(report.summary_table(document["summary"]))
    return 0


def measured(row: Row, rounds: int) -> dict[str, Any]:
    """Measure one row of the table: the figures of each engine, with the ratio of Darkroom's to them."""
    print(f"{row.name}: {', '.join(row.engines)}", file=sys.stderr, flush=True)
    keep = SCRATCH / "out" / row.name
    base = {"input": str(FOLDER / row.image), "format": row.format, "widths": row.widths} | row.extra
    jobs = {name: base | row.engine_options.get(name, {}) for name in row.engines}
    series = interleaved(row.engines, jobs, rounds if row.rounds is None else min(rounds, row.rounds), keep)
    scores = qualities(row, keep) if row.reference else {}
    first = series[row.engines[0]]
    figures = [_figures(one, first, scores.get(name, {})) for name, one in series.items()]
    if single := series.get("darkroom 1"):
        for engine in figures:
            other = series[engine["engine"]]
            engine["ratios"] = {f"darkroom 1 {what}": round(single.ratio(other, what), 3) for what in ("wall", "cpu")}
    return {
        "name": row.name,
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": len(first.answers),
        "image": row.image,
        "format": row.format,
        "engines": figures,
    }


def _figures(one: Series, first: Series, scores: dict[str, float]) -> dict[str, Any]:
    last = one.answers[-1]
    figures = {
        "engine": one.engine,
        "wall_ms": round(one.median("wall"), 1),
        "cpu_ms": round(one.median("cpu"), 1),
        "wall_ratio": round(first.ratio(one, "wall"), 3),
        "cpu_ratio": round(first.ratio(one, "cpu"), 3),
        "rss_first_mb": round(one.rss),
        "rss_mb": round(last["rss"]),
        "bytes": last["bytes"],
        "ssimulacra2": scores,
    }
    for extra in ("parts", "phases", "versions"):
        if extra in last:
            figures[extra] = last[extra]
    return figures


def qualities(row: Row, keep: Path) -> dict[str, dict[str, float]]:
    """Return SSIMULACRA2 of each size of each engine, against the row's reference. Equal files are compared once."""
    files: dict[tuple[int, bytes], Path] = {}
    keys: dict[tuple[str, int], tuple[int, bytes]] = {}
    for name in row.engines:
        for width in row.widths if name != "floor" else ():
            file = keep / name.replace(" ", "-") / f"{width}.{row.format}"
            keys[name, width] = key = (width, hashlib.sha256(file.read_bytes()).digest())
            files.setdefault(key, file)
    pairs = [(str(FOLDER / row.reference / f"{width}.png"), str(file)) for (width, _), file in files.items()]
    command = [str(PYTHON), "-W", "ignore", "-m", "benchmarks.render.quality"]
    lines = "\n".join(json.dumps(pair) for pair in pairs)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, cwd=ROOT)
    points = dict(zip(files, map(float, done.stdout.split()), strict=True))
    scores: dict[str, dict[str, float]] = {}
    for (name, width), key in keys.items():
        scores.setdefault(name, {})[str(width)] = points[key]
    return scores


if __name__ == "__main__":
    sys.exit(main())
