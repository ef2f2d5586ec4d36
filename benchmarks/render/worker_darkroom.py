"""Jobs for Darkroom's own pipeline, one JSON line each: `worker_darkroom.py variants|whole|child THREADS`.

`variants` is the part of `process_image` that peers do too: from the file to the files of its variants. `whole` is all
of `process_image`, including the other fields of the record, in this process; `child` is the same in a process for each
image, as in the service. The format `recipe` means the default recipe.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from app.domain.media import SNIFF_BYTES, media_type_of
from app.domain.models import Format
from app.domain.phase_timer import PhaseTimer
from app.domain.recipe import DEFAULT_RECIPE, Recipe, VariantSpec
from app.worker.jobs import Job, Rendered
from app.worker.pipeline.steps import STEPS, State, process_image, run
from app.worker.sandbox.parent import Sandbox


def job_of(asked: dict[str, Any], threads: int) -> Job:
    """Return the service's job for a request, without limits that would change the measurement."""
    if asked["format"] == "recipe":
        recipe = DEFAULT_RECIPE
    else:
        wanted = Format(asked["format"])
        quality = {wanted: asked["quality"]} if asked.get("quality") else {}
        specs = [VariantSpec(name=f"w{w}", width=w, formats=(wanted,), quality=quality) for w in asked["widths"]]
        recipe = Recipe(variants=tuple(specs))
    with Path(asked["input"]).open("rb") as file:
        kind = media_type_of(file.read(SNIFF_BYTES))
    return Job(
        recipe=recipe, media_type=kind or "", max_pixels=200_000_000, max_frames=asked.get("frames", 60),
        threads=threads, memory_mb=8192, seconds=300,
    )  # fmt: skip


def main() -> None:
    """Answer requests until standard input ends."""
    mode, threads = sys.argv[1], int(sys.argv[2])
    sandbox = Sandbox(300, 8192)
    if mode == "child":
        sandbox.start()
    for line in sys.stdin:
        asked = json.loads(line)
        job = job_of(asked, threads)
        source = Path(asked["input"])
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            cpu, start = _cpu(), time.monotonic()
            timer = PhaseTimer()
            if mode == "variants":
                made = run(STEPS[:-1], State(source, out, job, timer)).variants
            else:
                processed = sandbox.process(source, out, job) if mode == "child" else process_image(source, out, job)
                made, timer.timings = processed.variants, processed.timings
            wall = (time.monotonic() - start) * 1000
            spent = 0.0 if mode == "child" else _cpu() - cpu  # the fork server's children are not counted
            _keep(made, out, asked.get("out"))
        answer = {"wall": wall, "cpu": spent, "bytes": [variant.bytes for variant in made]}
        print(json.dumps(answer | {"rss": _high_water(), "phases": timer.timings}), flush=True)


def _keep(made: list[Rendered], out: Path, where: str | None) -> None:
    if where:
        for variant in made:
            Path(where, f"{variant.width}.{variant.format.value}").write_bytes((out / variant.file).read_bytes())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1000


def _high_water() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
