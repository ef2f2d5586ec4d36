"""Work of the child process in the memory benchmark, which imports it by name."""

import json
from pathlib import Path
from typing import Final

from app.worker.jobs import Job, Processed
from app.worker.pipeline.steps import process_image

#: File in the child's folder with the memory that it used.
STATUS: Final = "status.json"


def weighed(source: Path, out: Path, job: Job) -> Processed:
    """Process an image and write down the memory used."""
    before = _status()
    made = process_image(source, out, job)
    after = _status()
    status = {
        "mb": after["VmHWM"],
        "added_mb": after["VmHWM"] - before["VmRSS"],
        "added_space_mb": after["VmPeak"] - before["VmSize"],
    }
    (out / STATUS).write_text(json.dumps(status))
    return made


def _status() -> dict[str, float]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
