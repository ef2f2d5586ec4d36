"""Memory of processing in the worker's child process, by kind of file and size.

    .venv/bin/python -m benchmarks.render.memory [--kinds "PNG moving,TIFF Lab"] [megapixels ...]

Prints a row each, and writes `benchmarks/results/memory.json` unless only some were asked for. Of the kinds in
`tests/worker/kinds.py` it takes the usual ones by itself.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from app.domain.recipe import DEFAULT_RECIPE
from app.worker.decode.formats import open_image
from app.worker.jobs import Job
from app.worker.pipeline.plan import make_plan
from app.worker.sandbox.parent import Sandbox
from benchmarks.render.peers import ROOT
from benchmarks.render.weighed import STATUS, weighed
from benchmarks.results_file import save
from tests.samples import photograph
from tests.worker.kinds import KINDS

SIZES = {12: (4000, 3000), 24: (6000, 4000), 48: (8000, 6000), 100: (11547, 8660)}
USUAL = (
    "JPEG", "JPEG progressive", "JPEG CMYK", "PNG", "PNG alpha", "PNG 16-bit", "PNG 16-bit gray", "WebP", "WebP alpha",
    "GIF", "AVIF", "AVIF alpha", "HEIC", "HEIC alpha", "TIFF in one strip", "TIFF alpha", "TIFF 16-bit", "TIFF CMYK",
    "BMP", "BMP alpha",
)  # fmt: skip
PAGE = ROOT / "docs" / "memory.md"
#: Prints the resident memory of the worker's function and of its fork server.
_BESIDE = """
import re, time
import app.lambda_worker
from app.worker.sandbox import fork_server
time.sleep(5)  # until the server has loaded the codecs
from pathlib import Path
for process in ("self", fork_server.pid()):
    print(int(re.search(r"VmRSS:\\s+(\\d+)", Path(f"/proc/{process}/status").read_text())[1]) / 1024)
"""
#: No limit, to measure how much an image takes.
_UNBOUND = 1_000_000


def main() -> None:
    """Measure, print, save."""
    options = argparse.ArgumentParser(prog="benchmarks.render.memory")
    options.add_argument("megapixels", type=int, nargs="*", help=f"of {list(SIZES)}, or all")
    options.add_argument("--kinds", default="", help="comma-separated names of kinds; the results are not saved then")
    asked = options.parse_args()
    kinds = [kind for kind in asked.kinds.split(",") if kind]
    rows = measured(asked.megapixels or list(SIZES), kinds or USUAL)
    if not kinds and not asked.megapixels:
        path = save("memory", ["Pillow", "pillow-heif"], unit="2**20 bytes", beside=beside(), rows=rows)
        PAGE.write_text(with_table(PAGE.read_text(), json.loads(path.read_text())))
        print(json.dumps({"saved": str(path)}))


def measured(sizes: Sequence[int] = tuple(SIZES), kinds: Sequence[str] = USUAL) -> list[dict[str, Any]]:
    """Return a row for each kind and size.

    `mb` is the child's peak of resident memory, with codecs. `added_mb` and `added_space_mb` are the parts of the job
    in resident memory and in address space, which the child's limit counts. `estimated_mb` is the estimate of
    `app.worker.pipeline.memory_estimate`.
    """
    Image.MAX_IMAGE_PIXELS = None
    sandbox = Sandbox(600, _UNBOUND, work=weighed)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in sizes:
            picture = _photograph(SIZES[megapixels])
            for kind in kinds:
                row = {"format": kind, "megapixels": megapixels} | _row(kind, picture, Path(folder), sandbox)
                print(row, file=sys.stderr, flush=True)
                rows.append(row)
    return rows


def with_table(page: str, document: dict[str, Any]) -> str:
    """Return the page on memory with the table of saved results between its marks."""
    at = page.index("\n", page.index("<!-- memory: ")) + 1
    return page[:at] + table(document) + page[page.index("\n<!-- end of memory -->") :]


def table(document: dict[str, Any]) -> str:
    """Return a table of the peak of resident memory by kind and size."""
    sizes = sorted({row["megapixels"] for row in document["rows"]})
    lines = [f"| MB at | {' | '.join(f'{size} MP' for size in sizes)} |", "|---" * (len(sizes) + 1) + "|"]
    for kind in dict.fromkeys(row["format"] for row in document["rows"]):
        found = {row["megapixels"]: row["mb"] for row in document["rows"] if row["format"] == kind}
        lines.append(f"| {kind} | {' | '.join(str(found.get(size, '–')) for size in sizes)} |")
    parts = document["beside"]
    lines.append(f"\nOther processes: worker {parts['worker_mb']} MB, fork server {parts['server_mb']} MB.")
    return "\n".join(lines)


def beside() -> dict[str, int]:
    """Measure the resident memory of the idle worker's function and of its fork server."""
    settings = {
        "DARKROOM_STORAGE_URL": "s3://images", "DARKROOM_DATABASE_URL": "dynamodb://ImageMetadata",
        "DARKROOM_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/images",
        "DARKROOM_SECRET": "a secret of the benchmark", "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIDLOCAL1", "AWS_SECRET_ACCESS_KEY": "secretsecret",
    }  # fmt: skip
    said = subprocess.run(
        [sys.executable, "-c", _BESIDE], env=os.environ | settings, capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    worker, server = map(float, said.split())
    return {"worker_mb": round(worker), "server_mb": round(server)}


def _photograph(size: tuple[int, int]) -> Image.Image:
    with Image.open(io.BytesIO(photograph("photo-12mp.jpg")), formats=["JPEG"]) as source:
        picture = source.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    picture.info = {}
    return picture


def _row(kind: str, picture: Image.Image, folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    media_type, write = KINDS[kind]
    source, out = folder / "original", folder / "out"
    write(picture, source)
    out.mkdir()
    job = Job(recipe=DEFAULT_RECIPE, media_type=media_type, max_pixels=10**9, max_frames=60, threads=2)
    sandbox.process(source, out, job)
    status = json.loads((out / STATUS).read_text())
    with open_image(source, media_type) as image:
        status["estimated_mb"] = make_plan(image, source, job).memory.still / 2**20
    row = {"file_mb": round(source.stat().st_size / 2**20, 1)} | {name: round(status[name]) for name in status}
    for file in (source, *out.iterdir()):
        file.unlink()
    out.rmdir()
    return row


if __name__ == "__main__":
    main()
