"""Results of the benchmark as a document and as a table."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import PIL
from PIL import features

from benchmarks.render.images import WIDTHS

_COLUMNS = ("wall ms", "cpu ms", "wall ratio", "cpu ratio", "RSS MB", "KB", "SSIMULACRA2 " + "/".join(map(str, WIDTHS)))
#: A row counts only if no size is worse than the peer's by more than this, in points of SSIMULACRA2.
TOLERANCE = 0.3
#: The largest allowed ratio, and the target.
BOUNDS: dict[str, tuple[float, float | None]] = {
    "webp_phone_wall_vs_sharp": (0.65, None),
    "webp_phone_cpu_vs_sharp": (0.75, None),
    "jpeg_phone_wall_vs_sharp": (0.60, None),
    "webp_wall_vs_best_cascade": (1.05, 0.95),
    "jpeg_wall_vs_best_cascade": (1.30, 1.0),
    "png_input_wall_vs_best_cascade": (1.30, 1.0),
    "avif_wall_vs_sharp": (0.9, None),
    "rss_vs_sharp_jpeg": (0.5, None),
    "webp_cpu_vs_floor": (1.30, 1.15),
    "jpeg_cpu_vs_floor": (2.3, 1.5),
}


def document(rows: list[dict[str, Any]], rounds: int) -> dict[str, Any]:
    """Return all results with machine and versions."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "versions": versions(rows),
        "machine": machine(),
        "summary": summary(rows),
        "rows": [row | {"worse_than_sharp": shortfalls(row)} for row in rows],
    }


def versions(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the versions of everything that decodes, resizes or encodes."""
    found = {"python": platform.python_version(), "Pillow": PIL.__version__}
    for name in ("jpg", "webp", "avif", "littlecms2"):
        found[name] = str(features.version(name))
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    found["node"] = node.stdout.strip()
    for row in rows:
        for engine in row["engines"]:
            found |= engine.pop("versions", {})
    return found


def machine() -> dict[str, Any]:
    """Return the name and number of processors and the load."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cpus": os.cpu_count(), "load_1m": os.getloadavg()[0]}


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the named ratios. Of several peers the best one counts."""
    by_name = {row["name"]: {engine["engine"]: engine for engine in row["engines"]} for row in rows}
    sharp = ("sharp per width", "sharp parallel")
    return {
        "webp_phone_wall_vs_sharp": _worst(by_name["webp phone"], "darkroom 2", sharp, "wall"),
        "webp_phone_cpu_vs_sharp": _worst(by_name["webp phone"], "darkroom 2", sharp, "cpu"),
        "jpeg_phone_wall_vs_sharp": _worst(by_name["jpeg phone"], "darkroom 2", sharp, "wall"),
        "webp_wall_vs_best_cascade": _cascades(by_name["webp phone"]),
        "jpeg_wall_vs_best_cascade": _cascades(by_name["jpeg phone"]),
        "png_input_wall_vs_best_cascade": _cascades(by_name["webp PNG"]),
        "avif_wall_vs_sharp": _worst(by_name["avif phone"], "darkroom 2", sharp, "wall"),
        "rss_vs_sharp_jpeg": _ratio(by_name["webp phone"], "darkroom 1", "sharp per width", "rss"),
        "webp_cpu_vs_floor": _ratio(by_name["webp phone"], "darkroom 1", "floor", "cpu"),
        "jpeg_cpu_vs_floor": _ratio(by_name["jpeg phone"], "darkroom 1", "floor", "cpu"),
    }


def _ratio(engines: dict[str, dict[str, Any]], mine: str, other: str, what: str) -> float:
    """Return the median ratio of pairs if the row has it, else the ratio of two medians or peaks."""
    first = next(iter(engines))
    if mine == first and what != "rss":
        return float(engines[other][f"{what}_ratio"])
    unit = "rss_mb" if what == "rss" else f"{what}_ms"
    pairs = engines[other].get("ratios", {})
    return round(float(pairs.get(f"{mine} {what}") or engines[mine][unit] / engines[other][unit]), 3)


def _worst(engines: dict[str, dict[str, Any]], mine: str, others: tuple[str, ...], what: str) -> float:
    return max(_ratio(engines, mine, other, what) for other in others)


def _cascades(engines: dict[str, dict[str, Any]]) -> float:
    """Return the ratio to the better cascade with as many threads: the larger ratio of one and two threads."""
    return max(
        _worst(engines, f"darkroom {threads}", (f"sharp cascade {threads}", f"vips cascade {threads}"), "wall")
        for threads in (1, 2)
    )


def shortfalls(row: dict[str, Any]) -> list[str]:
    """List the sizes at which Darkroom's variant is worse than sharp's by more than the tolerance."""
    mine = row["engines"][0]["ssimulacra2"]
    return [
        f"{width} px: {mine[width]} against {score} of {engine['engine']}"
        for engine in row["engines"][1:]
        for width, score in engine["ssimulacra2"].items()
        if width in mine and mine[width] < score - TOLERANCE and engine["engine"].startswith("sharp")
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Return all rows as Markdown."""
    lines: list[str] = []
    for row in rows:
        lines += [
            f"\n**{row['name']}**: {row['image']} to {row['format']}\n",
            "| engine | " + " | ".join(_COLUMNS) + " |",
        ]
        lines.append("|---" * (len(_COLUMNS) + 1) + "|")
        for engine in row["engines"]:
            scores = "/".join(f"{engine['ssimulacra2'].get(str(width), 0):.1f}" for width in WIDTHS)
            cells = [
                engine["engine"], f"{engine['wall_ms']:.0f}", f"{engine['cpu_ms']:.0f}", f"{engine['wall_ratio']:.2f}",
                f"{engine['cpu_ratio']:.2f}", f"{engine['rss_mb']} ({engine['rss_first_mb']})",
                f"{sum(engine['bytes']) // 1024}", scores if engine["ssimulacra2"] else "",
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
        lines += [f"* does not count: {short}" for short in shortfalls(row)]
    return "\n".join(lines)


def summary_table(ratios: dict[str, float]) -> str:
    """Return the named ratios with their bounds as Markdown."""
    lines = ["\n| ratio | measured | at most | target |", "|---|---|---|---|"]
    for name, value in ratios.items():
        must, beyond = BOUNDS[name]
        mark = "" if value <= must else " (missed)"
        lines.append(f"| `{name}` | {value:.3f}{mark} | {must} | {beyond or ''} |")
    return "\n".join(lines)
