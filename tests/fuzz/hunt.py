"""Look for images that do worse than `failed`: `python -m tests.fuzz.hunt --seconds 600 --seed 1`.

Batches of mutated images are processed in sandboxed processes, in the production bounds. A batch whose process does
not end normally is processed once more, each image in a process of its own, to find the one to blame. What is
found is written to a folder, from which it can be moved into the tests.
"""

import argparse
import contextlib
import json
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.errors import ImageError, Unavailable
from app.domain.limits import Limits
from app.domain.media import SNIFF_BYTES, media_type_of
from app.domain.models import Format
from app.domain.recipe import DEFAULT_RECIPE, Recipe, VariantSpec
from app.settings import Settings
from app.worker.jobs import Job
from app.worker.sandbox import fork_server
from app.worker.sandbox.parent import Sandbox
from tests.fuzz.batch import batch
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds

BATCH = 40
_JXL = VariantSpec(name="w320-jxl", width=320, formats=(Format.JXL,))
_RECIPE = Recipe(variants=(*DEFAULT_RECIPE.variants, _JXL))
#: Outcomes of an image. The service survives a crash and a timeout, but both are findings.
EXPECTED = frozenset({"ready", "corrupt_image", "too_many_pixels", "unsupported_image", "memory"})


@dataclass
class Hunt:
    """Counts of outcomes, and the files to examine: name → outcome."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0
    peak_mb: float = 0.0

    def __str__(self) -> str:
        total = sum(self.outcomes.values())
        counts = ", ".join(f"{name} {count}" for name, count in self.outcomes.most_common())
        return f"{total} pictures: {counts}; slowest {self.slowest:.2f} s; peak {self.peak_mb:.0f} MB"


def job_for(media_type: str) -> Job:
    """A job in the bounds that a service has by default."""
    limits = Limits()
    return Job(
        recipe=_RECIPE,
        media_type=media_type,
        max_pixels=limits.max_pixels,
        max_frames=limits.max_frames,
        threads=2,
    )


def hunt(seconds: float, seed: int, findings: Path, *, start: int = 0, count: float = math.inf) -> Hunt:
    """Mutate for that long, or `count` times. The mutation of a number is the same whenever it is made."""
    settings = Settings()
    fork_server.preload("app.worker.render.jxl")
    sandbox = Sandbox(settings.processing_timeout_seconds, settings.processing_memory_mb, work=batch)
    alone = Sandbox(settings.processing_timeout_seconds, settings.processing_memory_mb)
    named = seeds()
    bodies = [body for _, body in named]
    done = Hunt()
    until = time.monotonic() + seconds
    number = start
    with tempfile.TemporaryDirectory() as scratch:
        while time.monotonic() < until and number < start + count:
            source, out = Path(scratch, "in"), Path(scratch, "out")
            for folder in (source, out):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
            names = []
            for index in range(number, number + BATCH):
                body = mutate(seed, index, bodies[index % len(bodies)], bodies)
                if media_type_of(body[:SNIFF_BYTES]):
                    names.append(str(index))
                    (source / str(index)).write_bytes(body)
                    (out / str(index)).mkdir()  # a sandboxed process makes no folders
            (source / "names").write_text("\n".join(names))
            number += BATCH
            for name, outcome, detail in _judged(sandbox, alone, source, out, done):
                done.outcomes[outcome] += 1
                if outcome not in EXPECTED:
                    findings.mkdir(parents=True, exist_ok=True)
                    original = named[int(name) % len(named)][0]
                    shutil.copy(source / name, findings / f"{seed}-{name}-{original}")
                    done.findings[f"{seed}-{name}-{original}"] = f"{outcome}: {detail}"
    return done


def _judged(sandbox: Sandbox, alone: Sandbox, source: Path, out: Path, done: Hunt) -> Iterator[tuple[str, str, str]]:
    told: set[str] = set()
    with contextlib.suppress(ImageError):
        sandbox.process(source, out, job_for("image/png"))
    for line in (out / "told").read_text().splitlines():
        with contextlib.suppress(ValueError):  # the last line of a process that was killed
            name, outcome, detail, spent, peak = json.loads(line)
            told.add(name)
            done.slowest, done.peak_mb = max(done.slowest, spent), max(done.peak_mb, peak)
            yield name, outcome, detail
    for path in (source / name for name in (source / "names").read_text().split()):
        if path.name in told:
            continue
        shutil.rmtree(out)
        out.mkdir()
        started = time.monotonic()
        try:
            alone.process(path, out, job_for(str(media_type_of(path.read_bytes()[:SNIFF_BYTES]))))
            ending = ("ready", "")
        except ImageError as error:
            ending = (str(error.code), error.detail)
        except Unavailable as error:
            ending = ("unavailable", str(error))
        done.slowest = max(done.slowest, time.monotonic() - started)
        yield path.name, *ending


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the number of the first mutation")
    parser.add_argument("--findings", type=Path, default=Path(".cache/fuzz"))
    given = parser.parse_args()
    done = hunt(given.seconds, given.seed, given.findings, start=given.start)
    print(done)
    for name, what in done.findings.items():
        print(f"\n{given.findings / name}\n  {what}")
    sys.exit(1 if done.findings else 0)


if __name__ == "__main__":
    main()
