"""Results with versions and machine, as JSON in `benchmarks/results/`."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def save(name: str, packages: Sequence[str], **content: Any) -> Path:
    """Write `<name>.json`: the date, versions, the machine, and the content."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    head: Mapping[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"python": sys.version.split()[0], **{package: version(package) for package in packages}},
        "machine": {"processor": _processor(), "cpus": os.cpu_count(), "system": platform.platform()},
    }
    path.write_text(json.dumps({**head, **content}, indent=1) + "\n")
    return path


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
