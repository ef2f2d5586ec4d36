"""Engines as long-lived processes that take turns, so that other load on the machine affects all of them."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.worker.sandbox.fork_server import ALLOCATOR
from benchmarks.render.peers import NODE, PYTHON, ROOT

HERE = Path(__file__).parent
_DARKROOM = (sys.executable, "-m", "benchmarks.render.worker_darkroom")
_SHARP = ("node", str(HERE / "worker_sharp.mjs"))
_VIPS = (str(PYTHON), str(HERE / "worker_vips.py"))

#: Command of each engine; the number is that of threads, 0 for sharp's default.
COMMANDS: dict[str, tuple[str, ...]] = {
    "darkroom 2": (*_DARKROOM, "variants", "2"),
    "darkroom 1": (*_DARKROOM, "variants", "1"),
    "darkroom whole": (*_DARKROOM, "whole", "2"),
    "darkroom child": (*_DARKROOM, "child", "2"),
    "sharp per width": (*_SHARP, "per", "0"),
    "sharp parallel": (*_SHARP, "parallel", "0"),
    "sharp cascade 2": (*_SHARP, "cascade", "2"),
    "sharp cascade 1": (*_SHARP, "cascade", "1"),
    "vips cascade 2": (*_VIPS, "cascade", "2"),
    "vips cascade 1": (*_VIPS, "cascade", "1"),
    "floor": (*_VIPS, "floor", "1"),
}


class Engine:
    """Process that does one job at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            COMMANDS[name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=NODE if name.startswith("sharp") else ROOT,
            env=os.environ | ALLOCATOR if name.startswith("darkroom") else None,  # as in the service's children
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Do a job; return milliseconds of `wall` and `cpu`, `bytes` of each file, `rss` in MB."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self._process.wait()} at {job}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass
class Series:
    """All answers of one engine to one job, in the order of the rounds. `rss` is a fresh process's peak, in MB."""

    engine: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    rss: float = 0.0

    def median(self, what: str) -> float:
        """Return the median of `wall` or `cpu`, in milliseconds."""
        return statistics.median(answer[what] for answer in self.answers)

    def ratio(self, other: "Series", what: str) -> float:
        """Return the median ratio of this engine's figure to the other's in the same round; 0 if unknown."""
        pairs = zip(self.answers, other.answers, strict=True)
        return statistics.median(mine[what] / theirs[what] if theirs[what] else 0.0 for mine, theirs in pairs)


def interleaved(names: Sequence[str], jobs: dict[str, dict[str, Any]], rounds: int, keep: Path) -> dict[str, Series]:
    """Ask A B C A B C. Before that each engine runs once to warm up; its files are kept under `keep`."""
    engines = [Engine(name) for name in names]
    series = {name: Series(name) for name in names}
    try:
        for engine in engines:
            folder = keep / engine.name.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            series[engine.name].rss = engine.ask(jobs[engine.name] | {"out": str(folder)})["rss"]
        for _ in range(rounds):
            for engine in engines:
                series[engine.name].answers.append(engine.ask(jobs[engine.name]))
    finally:
        for engine in engines:
            engine.__exit__(None, None, None)
    return series
