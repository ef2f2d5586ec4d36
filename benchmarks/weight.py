"""Bytes at equal quality: Darkroom's encoder, sharp and libvips on 32 images, and the pipelines on a phone photograph.

    .venv/bin/python -m benchmarks.weight [--only name,name]

Needs npm, and installs sharp, libvips and SSIMULACRA2 into `.cache/bench`; takes about ten minutes on two cores. All
engines encode the same pixels, at several qualities. A ratio compares the bytes, or the CPU, at the SSIMULACRA2 that
sharp reaches with its default quality; its mean over the images is geometric. MS-SSIM is the second metric. Prints the
tables, and writes `results/weight.json`, the tables of docs/weight.md, the chart `results/weight.svg` and a contact
sheet in `.cache/bench/weight`. With --only nothing is written.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.render.peers import PYTHON, ROOT, install
from benchmarks.results_file import FOLDER as RESULTS
from benchmarks.results_file import save
from benchmarks.weighing import pipeline, report
from benchmarks.weighing.contact_sheet import make_sheet
from benchmarks.weighing.curves import Point
from benchmarks.weighing.engines import CURVES, engines, suffix
from benchmarks.weighing.images import FOLDER, SAMPLES, make
from benchmarks.weighing.page import PAGE, with_tables
from benchmarks.weighing.viewing import readable

#: Curves of one image by (engine, format).
Curves = Mapping[tuple[str, str], Sequence[Point]]
_SCORES = FOLDER / "scores.json"


def encode_all(files: Mapping[str, Path]) -> dict[tuple[str, str, str, int], tuple[Path, float]]:
    """Encode each image with each engine at each quality. Returns the files and the milliseconds of CPU."""
    made: dict[tuple[str, str, str, int], tuple[Path, float]] = {}
    folder = FOLDER / "encoded"
    folder.mkdir(exist_ok=True)
    with engines() as ready:
        for number, (name, image) in enumerate(files.items()):
            print(f"\rEncoding {number + 1} of {len(files)}: {name:20}", end="", file=sys.stderr, flush=True)
            for curve in CURVES:
                for quality in curve.qualities:
                    out = folder / f"{name}-{curve.engine}-{quality}.{suffix(curve.format)}"
                    cpu = ready[curve.engine].encode(image, curve.format, quality, out)
                    made[name, curve.engine, curve.format, quality] = (out, cpu)
    print(file=sys.stderr)
    return made


def score_all(pairs: Iterable[tuple[Path, Path]]) -> dict[tuple[Path, Path], tuple[float, float]]:
    """Return SSIMULACRA2 and MS-SSIM of files against their references. Known pairs are not compared again."""
    known: dict[str, tuple[float, float]] = json.loads(_SCORES.read_text()) if _SCORES.exists() else {}
    shown = {pair: (pair[0], readable(pair[1])) for pair in pairs}
    hashes = {file: hashlib.sha256(file.read_bytes()).hexdigest()[:24] for files in shown.values() for file in files}
    keys = {pair: " ".join(hashes[file] for file in files) for pair, files in shown.items()}
    new = {keys[pair]: files for pair, files in shown.items() if keys[pair] not in known}
    print(f"Comparing {len(new)} files with their references", file=sys.stderr, flush=True)
    if new:
        lines = "\n".join(json.dumps([str(file) for file in pair]) for pair in new.values())
        command = [str(PYTHON), "-W", "ignore", "-m", "benchmarks.weighing.score"]
        done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        for key, line in zip(new, done.stdout.splitlines(), strict=True):
            similarity, decibels = map(float, line.split())
            known[key] = (similarity, decibels)
        _SCORES.write_text(json.dumps(known))
    return {pair: known[key] for pair, key in keys.items()}


def measure(files: Mapping[str, Path]) -> dict[str, Curves]:
    """Return the curves of each image."""
    made = encode_all(files)
    scores = score_all((files[name], out) for (name, *_), (out, _) in made.items())
    curves: dict[str, dict[tuple[str, str], list[Point]]] = defaultdict(lambda: defaultdict(list))
    for (name, engine, wanted, quality), (out, cpu) in made.items():
        point = Point(quality, out.stat().st_size, round(cpu, 2), *scores[files[name], out])
        curves[name][engine, wanted].append(point)
    return {name: dict(found) for name, found in curves.items()}


def main() -> None:
    """Measure everything, print and save it."""
    options = argparse.ArgumentParser(prog="benchmarks.weight")
    options.add_argument("--only", default="", help="comma-separated names of images; nothing is written then")
    only = {name for name in options.parse_args().only.split(",") if name}
    install()
    samples = [sample for sample in SAMPLES if not only or sample.name in only]
    paths = make()
    files = {sample.name: paths[sample.name] for sample in samples}
    curves = measure(files)
    print(report.image_table(samples, curves))
    summary = report.summarize(samples, curves)
    if only:
        print(report.summary_table(summary))
        return
    whole = pipeline.compare(score_all)
    summary |= pipeline.summarize(whole)
    print(pipeline.table(whole))
    print(report.summary_table(summary))
    images: list[dict[str, Any]] = [
        {"name": sample.name, "kind": sample.kind, "license": sample.license, "source": sample.source,
         "curves": [
             {"engine": engine, "format": wanted, "points": [asdict(point) for point in points]}
             for (engine, wanted), points in curves[sample.name].items()
         ]}
        for sample in samples
    ]  # fmt: skip
    path = save(
        "weight",
        ("Pillow", "pyjpegxl"),
        summary=summary,
        contents=report.by_content(samples, curves),
        bounds=report.BOUNDS,
        pipeline=whole,
        images=images,
    )
    PAGE.write_text(with_tables(PAGE.read_text(), json.loads(path.read_text())))
    (RESULTS / "weight.svg").write_text(report.chart(samples, curves))
    print(f"Contact sheet: {make_sheet(samples, files)}")


if __name__ == "__main__":
    main()
