"""The table, and the document that it is kept in."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import PIL
from PIL import features

from benchmarks.render.pictures import WIDTHS

_COLUMNS = ("wall ms", "cpu ms", "wall ratio", "cpu ratio", "RSS MB", "KB", "SSIMULACRA2 " + "/".join(map(str, WIDTHS)))
#: A row counts only when no size is worse than the other's by more than this, in points of SSIMULACRA2.
TOLERANCE = 0.3
#: What has to be reached, and what would be better still.
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
    """All that was measured, with where and with what."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "versions": versions(rows),
        "machine": machine(),
        "summary": summary(rows),
        "rows": [row | {"worse_than_sharp": shortfalls(row)} for row in rows],
    }


def versions(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Of everything that decodes, resizes or encodes here."""
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
    """The processor's own name for itself, and how many of them there are."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cpus": os.cpu_count(), "load_1m": os.getloadavg()[0]}


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The ratios that have names. Against several peers it is the worst: the one against the best of them."""
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
    """The measured ratio of pairs where the row holds it, else that of two medians or peaks."""
    first = next(iter(engines))
    if mine == first and what != "rss":
        return float(engines[other][f"{what}_ratio"])
    unit = "rss_mb" if what == "rss" else f"{what}_ms"
    pairs = engines[other].get("ratios", {})
    return round(float(pairs.get(f"{mine} {what}") or engines[mine][unit] / engines[other][unit]), 3)


def _worst(engines: dict[str, dict[str, Any]], mine: str, others: tuple[str, ...], what: str) -> float:
    return max(_ratio(engines, mine, other, what) for other in others)


def _cascades(engines: dict[str, dict[str, Any]]) -> float:
    """Against the better of both cascades at the same number of threads, one or two, whichever is worse for us."""
    return max(
        _worst(engines, f"darkroom {threads}", (f"sharp cascade {threads}", f"vips cascade {threads}"), "wall")
        for threads in (1, 2)
    )


def shortfalls(row: dict[str, Any]) -> list[str]:
    """Where Darkroom's picture is worse than another's by more than the tolerance."""
    mine = row["engines"][0]["ssimulacra2"]
    return [
        f"{width} px: {mine[width]} against {score} of {engine['engine']}"
        for engine in row["engines"][1:]
        for width, score in engine["ssimulacra2"].items()
        if width in mine and mine[width] < score - TOLERANCE and engine["engine"].startswith("sharp")
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Every row as Markdown."""
    lines: list[str] = []
    for row in rows:
        lines += [
            f"\n**{row['name']}**: {row['picture']} to {row['format']}\n",
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
    """The named ratios beside their bounds."""
    lines = ["\n| ratio | measured | must be at most | beyond |", "|---|---|---|---|"]
    for name, value in ratios.items():
        must, beyond = BOUNDS[name]
        mark = "" if value <= must else " (missed)"
        lines.append(f"| `{name}` | {value:.3f}{mark} | {must} | {beyond or ''} |")
    return "\n".join(lines)
