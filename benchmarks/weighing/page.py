"""Tables of docs/weight.md, from the saved results."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.render.peers import ROOT
from benchmarks.weighing.report import CONTENTS

PAGE = ROOT / "docs" / "weight.md"
_ENDS = "<!-- end of table -->"


def with_tables(page: str, results: Mapping[str, Any]) -> str:
    """Return the page with the tables of these results between its marks."""
    for name, table in _tables(results).items():
        at = page.index("\n", page.index(f"<!-- {name}: ")) + 1
        page = page[:at] + table + page[page.index(f"\n{_ENDS}", at) :]
    return page


def _tables(results: Mapping[str, Any]) -> dict[str, str]:
    summary = results["summary"]
    peers = (("JPEG", "jpeg"), ("WebP", "webp"), ("AVIF", "avif"))
    names = ("bytes_vs_sharp", "bytes_vs_sharp_ms_ssim", "cpu_vs_sharp", "bytes_vs_libvips")
    ratios = ("bytes_vs_webp", "bytes_vs_webp_ms_ssim", "cpu_vs_webp")
    rows = (("every image in JPEG XL", "jxl"), ("as delivered: some in WebP", "jxl_delivered"))
    return {
        "peers": _table(
            ("format", "bytes against sharp", "by MS-SSIM", "CPU against sharp", "bytes against libvips"),
            [(shown, *(f"{summary[f'{form}_{name}']:.3f}" for name in names)) for shown, form in peers],
        ),
        "jxl": _table(
            ("JPEG XL", "bytes against Darkroom's WebP", "by MS-SSIM", "CPU against it"),
            [(shown, *(f"{summary[f'{name}_{ratio}']:.3f}" for ratio in ratios)) for shown, name in rows],
        ),
        "contents": _table(
            ("content", "images", *(shown for shown, _ in peers), "JPEG XL against WebP", "as delivered"),
            [
                (
                    content,
                    sum(image["kind"] in kinds for image in results["images"]),
                    *(f"{value:.3f}" for value in results["contents"][content].values()),
                )
                for content, kinds in CONTENTS.items()
            ],
        ),
        "pipelines": _table(
            ("engine", "format", "KB", "SSIMULACRA2"),
            [
                (row["engine"], row["format"], f"{row['bytes'] / 1000:.0f}", f"{row['ssimulacra2']:.1f}")
                for row in results["pipeline"]["rows"]
                if row["engine"] == "sharp" or row["quality"] == "default"
            ],
        ),
        "ratios": _table(
            ("ratio", "measured"),
            [
                (f"{form} bytes at sharp's scores", f"{summary[f'{form}_pipeline_bytes_vs_sharp']:.3f}")
                for form in ("jpeg", "webp")
            ]
            + [("time of the default recipe, against the commit before", f"{summary['recipe_wall_vs_before']:.3f}")],
        ),
        "images": _table(
            ("image", "kind", "license", "source"),
            [[image[name] for name in ("name", "kind", "license", "source")] for image in results["images"]],
        ),
    }


def _table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])
