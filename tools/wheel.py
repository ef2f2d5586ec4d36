"""Build the package of the Python client into `dist/<version>/`: `python tools/wheel.py`.

The build is reproducible: its files have the date of the commit.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Build it; return the exit status."""
    command = ("git", "log", "-1", "--format=%ct")
    date = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    version = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version ="))
    folder = ROOT / "dist" / version.split('"')[1]
    folder.mkdir(parents=True, exist_ok=True)
    print(build(ROOT, folder, date).relative_to(ROOT))
    return 0


def build(source: Path, folder: Path, date: str) -> Path:
    """Build the wheel of a checkout into a folder, with the date of its files in seconds; return its path."""
    script = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
    environment = {**os.environ, **({"SOURCE_DATE_EPOCH": date} if date else {})}
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=source,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return folder / done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
