"""The README's chart, from the saved results: `python -m benchmarks.render.chart` draws it again."""

import json
from html import escape
from typing import Any

from benchmarks.render.peers import ROOT

_JOBS = {
    "webp phone": "12 MP phone JPEG → 5 WebP",
    "jpeg phone": "12 MP phone JPEG → 5 JPEG",
    "webp PNG": "12 MP PNG → 5 WebP",
    "avif phone": "12 MP phone JPEG → 5 AVIF",
}
_ENGINES = ("darkroom 2", "vips cascade 2", "sharp cascade 2", "sharp parallel", "sharp per width")
_COLORS = dict(zip(_ENGINES, ("#0958d9", "#8c8c8c", "#a6a6a6", "#bfbfbf", "#d9d9d9"), strict=True))
_NAMES = {"darkroom 2": "Darkroom", "vips cascade 2": "libvips, cascade", "sharp cascade 2": "sharp, cascade",
          "sharp parallel": "sharp, parallel pipelines",
          "sharp per width": "sharp, a pipeline per width"}  # fmt: skip
_BAR, _GAP, _LEFT, _WIDTH = 16, 26, 240, 380


def svg(document: dict[str, Any]) -> str:
    """Draw bars of wall time, in units of Darkroom's, in a group for each job."""
    rows = {row["name"]: row["engines"] for row in document["rows"]}
    marks: list[str] = []
    y = 44
    longest = max(1 / engine["wall_ratio"] for name in _JOBS for engine in rows[name] if engine["engine"] in _ENGINES)
    for name, title in _JOBS.items():
        marks.append(f'<text x="8" y="{y + 4}" class="job">{escape(title)}</text>')
        y += 12
        engines = {engine["engine"]: engine for engine in rows[name]}
        for engine in _ENGINES:
            if engine not in engines:
                continue
            times = 1 / engines[engine]["wall_ratio"]
            length = _WIDTH * times / longest
            marks += [
                f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(_NAMES[engine])}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR - 3}" fill="{_COLORS[engine]}"/>',
                f'<text x="{_LEFT + length + 6:.1f}" y="{y + 11}">{times:.2f}</text>',
            ]
            y += _BAR
        y += _GAP
    head = f"Wall time on {document['machine']['cpus']} cores, Darkroom = 1 (shorter is faster)"
    style = "text{font:12px system-ui,sans-serif;fill:#444}.job{font-weight:600;fill:#111}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {y}" width="700" height="{y}" role="img" '
        f'aria-label="{escape(head)}">\n<style>{style}</style>\n<rect width="700" height="{y}" fill="#fff"/>\n'
        f'<text x="8" y="20">{escape(head)} · {document["date"]}</text>\n' + "\n".join(marks) + "\n</svg>\n"
    )


if __name__ == "__main__":
    results = ROOT / "benchmarks" / "results"
    (results / "render.svg").write_text(svg(json.loads((results / "render.json").read_text())))
