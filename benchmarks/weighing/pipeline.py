"""Whole pipelines: a phone photograph to five widths at the default qualities, and the wall time of the default recipe.

Resizers differ here, and so do the scores: the reference is resized in one step by LANCZOS from the uncompressed image.
"""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from benchmarks.render.images import add_grain
from benchmarks.render.measure import HERE
from benchmarks.render.peers import NODE, ROOT, SCRATCH
from benchmarks.weighing.curves import Point, at_score
from benchmarks.weighing.images import FOLDER, packaged_phone

Scores = Mapping[tuple[Path, Path], tuple[float, float]]
WIDTHS = (1920, 1280, 640, 320, 160)
#: The commit before the encoders were chosen from these curves.
BEFORE = "aecd7887"
_ROUNDS = 15
_DARKROOM = (sys.executable, "-m", "benchmarks.render.worker_darkroom")
_QUALITIES = {"jpeg": (80, (74, 80, 86)), "webp": (80, (74, 80, 86))}
_REFERENCE = FOLDER / "phone"
_PHONE = FOLDER / "phone.jpg"


def compare(score: Callable[[Iterable[tuple[Path, Path]]], Scores]) -> dict[str, Any]:
    """Return bytes and scores of Darkroom's and sharp's pipeline by format, and the ratio of the wall times."""
    _make_phone()
    files: dict[tuple[str, str, int], list[Path]] = {}
    with ExitStack() as stack:
        darkroom = _started(stack, (*_DARKROOM, "variants", "2"), ROOT)
        sharp = _started(stack, ("node", str(HERE / "worker_sharp.mjs"), "per", "0"), NODE)
        for wanted, (default, qualities) in _QUALITIES.items():
            files["sharp", wanted, default] = _ladder(sharp, "sharp", wanted, default)
            for quality in qualities:
                files["darkroom", wanted, quality] = _ladder(darkroom, "darkroom", wanted, quality)
            files["darkroom", wanted, 0] = _ladder(darkroom, "darkroom", wanted, 0)  # 0: the default
    scores = score((_reference(file), file) for group in files.values() for file in group)
    rows = [
        {
            "engine": engine,
            "format": wanted,
            "quality": quality or "default",
            "bytes": sum(file.stat().st_size for file in group),
            "ssimulacra2": round(sum(scores[_reference(file), file][0] for file in group) / len(group), 2),
            "ms_ssim_db": round(sum(scores[_reference(file), file][1] for file in group) / len(group), 2),
        }
        for (engine, wanted, quality), group in files.items()
    ]
    return {"rows": rows, "recipe_wall_ms": recipe_wall()}


def summarize(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the ratios of bytes at sharp's scores, and that of the wall times."""
    summary: dict[str, float] = {}
    for wanted in _QUALITIES:
        points = [
            Point(0, row["bytes"], 1, row["ssimulacra2"], row["ms_ssim_db"])
            for row in found["rows"]
            if row["engine"] == "darkroom" and row["format"] == wanted
        ]
        (peer,) = (row for row in found["rows"] if row["engine"] == "sharp" and row["format"] == wanted)
        ratio = at_score(points, peer["ssimulacra2"], "bytes") / peer["bytes"]
        summary[f"{wanted}_pipeline_bytes_vs_sharp"] = round(ratio, 3)
    summary["recipe_wall_vs_before"] = found["recipe_wall_ms"]["ratio"]
    return summary


def table(found: Mapping[str, Any]) -> str:
    """Return the rows as Markdown."""
    lines = [
        f"\nA phone photograph to {len(WIDTHS)} widths; mean scores:\n",
        "| engine | format | quality | KB | SSIMULACRA2 | MS-SSIM dB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['engine']} | {row['format']} | {row['quality']} | {row['bytes'] / 1000:.0f} | "
        f"{row['ssimulacra2']:.1f} | {row['ms_ssim_db']:.1f} |"
        for row in found["rows"]
    ]
    wall = found["recipe_wall_ms"]
    lines.append(f"\nDefault recipe: {wall['now']} ms, {wall['before']} ms at commit {BEFORE}; ratio {wall['ratio']}.")
    return "\n".join(lines)


def recipe_wall() -> dict[str, float]:
    """Return the milliseconds of the default recipe now and at the commit before, and the median ratio of rounds."""
    _make_phone()
    with ExitStack() as stack:
        workers = {
            "now": _started(stack, (*_DARKROOM, "whole", "2"), ROOT),
            "before": _started(stack, (*_DARKROOM, "whole", "2"), _checkout()),
        }
        found: dict[str, list[float]] = {"now": [], "before": []}
        for number in range(_ROUNDS + 2):
            for name in workers if number % 2 else reversed(workers):
                answer = _ask(workers[name], {"input": str(_PHONE), "format": "recipe", "widths": []})
                if number >= 2:
                    found[name].append(answer["wall"])
    ratios = [now / before for now, before in zip(found["now"], found["before"], strict=True)]
    return {name: round(median(times), 1) for name, times in found.items()} | {"ratio": round(median(ratios), 3)}


def _checkout() -> Path:
    """Return a folder with the files of the commit before."""
    folder = SCRATCH / f"before-{BEFORE}"
    if not folder.exists():
        archive = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
    return folder


def _make_phone() -> None:
    """Make the phone's JPEG with its grain, and the references of all widths."""
    if _PHONE.exists() and all((_REFERENCE / f"{width}.png").exists() for width in WIDTHS):
        return
    crisp = add_grain(packaged_phone())
    _REFERENCE.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        size = (width, round(crisp.height * width / crisp.width))
        crisp.resize(size, Image.Resampling.LANCZOS).save(_REFERENCE / f"{width}.png", compress_level=1)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = crisp.transpose(Image.Transpose.ROTATE_90)
    lying.save(_PHONE, quality=90, subsampling="4:2:0", exif=exif)


def _reference(file: Path) -> Path:
    return _REFERENCE / f"{file.stem}.png"


def _started(stack: ExitStack, command: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    assert process.stdin is not None
    stack.callback(process.stdin.close)
    return process


def _ask(process: "subprocess.Popen[str]", job: Mapping[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def _ladder(process: "subprocess.Popen[str]", engine: str, wanted: str, quality: int) -> list[Path]:
    """Return the files of all widths."""
    out = FOLDER / "ladder" / engine / wanted / str(quality)
    out.mkdir(parents=True, exist_ok=True)
    _ask(process, {"input": str(_PHONE), "format": wanted, "widths": WIDTHS, "quality": quality, "out": str(out)})
    found = {int(file.stem): file for file in out.iterdir()}
    assert sorted(found) == sorted(WIDTHS), sorted(found)
    return [found[width] for width in WIDTHS]
