"""Tables, summary and chart of the comparison."""

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.weighing.curves import Point, at_score, geometric_mean
from benchmarks.weighing.engines import CURVES
from benchmarks.weighing.images import Sample

#: The largest allowed value of the summary, and the target.
BOUNDS: dict[str, tuple[float, float]] = {
    "jpeg_bytes_vs_sharp": (1.00, 0.92),
    "webp_bytes_vs_sharp": (1.00, 0.96),
    "avif_bytes_vs_sharp": (1.05, 1.00),
    "avif_cpu_vs_sharp": (0.3, 0.3),
    "jxl_bytes_vs_webp": (0.92, 0.88),
    "jxl_cpu_vs_webp": (0.7, 0.7),
    "recipe_wall_vs_before": (1.00, 0.85),
}
_FORMATS = ("jpeg", "webp", "avif")
_DRAWN = ("text screenshot", "line art", "flat illustration")
#: Kinds of images by content.
CONTENTS: dict[str, tuple[str, ...]] = {
    "photographs": ("phone by day", "phone by night", "indoors", "animal", "portrait", "still life", "night", "medical",
                    "foliage", "texture", "buildings"),
    "text, lines and flat colors": _DRAWN,
    "others: a product on white, noise, alpha": ("product on white", "noise", "alpha"),
}  # fmt: skip
_DEFAULTS = {(curve.engine, curve.format): curve.default for curve in CURVES}
Curves = Mapping[tuple[str, str], Sequence[Point]]


def _ratio(curves: Curves, mine: tuple[str, str], peer: tuple[str, str], what: str, metric: str) -> float:
    """Return the ratio of bytes or CPU at the score of the peer's default quality."""
    (reached,) = (point for point in curves[peer] if point.quality == _DEFAULTS[peer])
    score = float(getattr(reached, metric))
    return at_score(curves[mine], score, what, metric) / float(getattr(reached, what))


def _comparable(sample: Sample, wanted: str) -> bool:
    """Return False for JPEG of an image with alpha, which it cannot hold."""
    return wanted != "jpeg" or sample.kind != "alpha"


def _mean(samples: Sequence[Sample], curves: Mapping[str, Curves], mine: tuple[str, str], peer: tuple[str, str],
          what: str = "bytes", metric: str = "ssimulacra2") -> float:  # fmt: skip
    chosen = [sample for sample in samples if _comparable(sample, mine[1]) and _comparable(sample, peer[1])]
    ratios = [_ratio(curves[sample.name], mine, peer, what, metric) for sample in chosen]
    return round(geometric_mean(ratios), 3)


def summarize(samples: Sequence[Sample], curves: Mapping[str, Curves]) -> dict[str, float]:
    """Return the named ratios, means over the images."""
    found: dict[str, float] = {}
    for wanted in _FORMATS:
        mine = ("darkroom", wanted)
        for peer in ("sharp", "libvips"):
            other = (peer, wanted)
            found[f"{wanted}_bytes_vs_{peer}"] = _mean(samples, curves, mine, other)
            found[f"{wanted}_bytes_vs_{peer}_ms_ssim"] = _mean(samples, curves, mine, other, metric="ms_ssim")
            found[f"{wanted}_cpu_vs_{peer}"] = _mean(samples, curves, mine, other, "cpu_ms")
    for name, engine in (("jxl", "darkroom"), ("jxl_delivered", "delivered")):
        mine, webp = (engine, "jxl"), ("darkroom", "webp")
        found[f"{name}_bytes_vs_webp"] = _mean(samples, curves, mine, webp)
        found[f"{name}_bytes_vs_webp_ms_ssim"] = _mean(samples, curves, mine, webp, metric="ms_ssim")
        found[f"{name}_cpu_vs_webp"] = _mean(samples, curves, mine, webp, "cpu_ms")
    return found


def by_content(samples: Sequence[Sample], curves: Mapping[str, Curves]) -> dict[str, dict[str, float]]:
    """Return the ratios of bytes of each content: to sharp by format, and of JPEG XL to our WebP, also as delivered."""
    pairs = {f"{wanted}_bytes_vs_sharp": (("darkroom", wanted), ("sharp", wanted)) for wanted in _FORMATS}
    pairs["jxl_bytes_vs_webp"] = (("darkroom", "jxl"), ("darkroom", "webp"))
    pairs["jxl_delivered_bytes_vs_webp"] = (("delivered", "jxl"), ("darkroom", "webp"))
    return {
        content: {
            name: _mean([sample for sample in samples if sample.kind in kinds], curves, *pair)
            for name, pair in pairs.items()
        }
        for content, kinds in CONTENTS.items()
    }


def summary_table(summary: Mapping[str, float]) -> str:
    """Return the named ratios as Markdown, with their bounds."""
    lines = ["", "| ratio | measured | must | target |", "|---|---|---|---|"]
    for name, value in summary.items():
        most, target = BOUNDS.get(name, (None, None))
        lines.append(f"| {name} | **{value:.3f}** | {_bound(most)} | {_bound(target)} |")
    return "\n".join(lines)


def _bound(value: float | None) -> str:
    return "" if value is None else f"≤ {value:.2f}"


def image_table(samples: Sequence[Sample], curves: Mapping[str, Curves]) -> str:
    """Return the ratio of bytes to sharp's for each image as Markdown, with Darkroom's score at its default quality."""
    lines = [
        "\nBytes at the SSIMULACRA2 of sharp's default quality, sharp = 1; in parentheses that score:\n",
        "| image | kind | " + " | ".join(f"{wanted} vs sharp" for wanted in _FORMATS) + " |",
        "|---|---|" + "---|" * len(_FORMATS),
    ]
    for sample in samples:
        cells = []
        for wanted in _FORMATS:
            peer = ("sharp", wanted)
            (reached,) = (point for point in curves[sample.name][peer] if point.quality == _DEFAULTS[peer])
            ratio = _ratio(curves[sample.name], ("darkroom", wanted), peer, "bytes", "ssimulacra2")
            shown = f"{ratio:.3f} ({reached.ssimulacra2:.1f})"
            cells.append(shown if _comparable(sample, wanted) else "–")
        lines.append(f"| {sample.name} | {sample.kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


_COLORS = {"darkroom": "#0958d9", "sharp": "#d46b08", "libvips": "#8c8c8c"}
_PANEL, _HEIGHT, _MARGIN = 300, 250, 44
_SCORES = (50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0)


def chart(samples: Sequence[Sample], curves: Mapping[str, Curves]) -> str:
    """Draw bytes by score for each format, means over the photographs, in units of sharp's at a score of 70."""
    photographs = [
        sample for sample in samples if sample.kind not in ("alpha", "noise") and sample.license != "made here"
    ]
    formats = [wanted for wanted in (*_FORMATS, "jxl") if ("darkroom", wanted) in _DEFAULTS]
    base = {sample.name: at_score(curves[sample.name]["sharp", "webp"], 70, "bytes") for sample in photographs}
    marks: list[str] = []
    for number, wanted in enumerate(formats):
        left = _MARGIN + number * (_PANEL - 24)
        marks.append(f'<text x="{left}" y="44" class="panel">{escape(wanted.upper())}</text>')
        for grid in (0.5, 1.0, 1.5, 2.0):
            y = _y(grid)
            marks.append(f'<line x1="{left}" x2="{left + 220}" y1="{y}" y2="{y}" stroke="#e5e5e5"/>')
            marks.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{grid:g}</text>')
        marks += [
            f'<text x="{_x(left, score)}" y="{_HEIGHT + 70}" text-anchor="middle">{score:g}</text>'
            for score in _SCORES[::2]
        ]
        for engine, color in reversed(_COLORS.items()):
            if (engine, wanted) not in _DEFAULTS:
                continue
            points = " ".join(
                f"{_x(left, score):.1f},{_y(_share(photographs, curves, (engine, wanted), score, base)):.1f}"
                for score in _SCORES
            )
            marks.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
    for number, (engine, color) in enumerate(_COLORS.items()):
        x = _MARGIN + 100 * number
        marks.append(f'<rect x="{x}" y="{_HEIGHT + 84}" width="12" height="4" fill="{color}"/>')
        marks.append(f'<text x="{x + 18}" y="{_HEIGHT + 91}">{escape(engine)}</text>')
    width = _MARGIN + len(formats) * (_PANEL - 24)
    head = "Bytes by SSIMULACRA2, mean of the photographs; 1 = sharp's WebP at 70 (lower is smaller)"
    style = "text{font:12px system-ui,sans-serif;fill:#444}.panel{font-weight:600;fill:#111}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + 104}" width="{width}" '
        f'height="{_HEIGHT + 104}" role="img" aria-label="{escape(head)}">\n<style>{style}</style>\n'
        f'<rect width="{width}" height="{_HEIGHT + 104}" fill="#fff"/>\n<text x="8" y="20">{escape(head)}</text>\n'
        + "\n".join(marks)
        + "\n</svg>\n"
    )


def _share(samples: Sequence[Sample], curves: Mapping[str, Curves], one: tuple[str, str], score: float,
           base: Mapping[str, float]) -> float:  # fmt: skip
    return geometric_mean([at_score(curves[each.name][one], score, "bytes") / base[each.name] for each in samples])


def _x(left: float, score: float) -> float:
    return left + 220 * (score - _SCORES[0]) / (_SCORES[-1] - _SCORES[0])


def _y(share: float) -> float:
    return round(52 + _HEIGHT * (1 - share / 2.2), 1)
