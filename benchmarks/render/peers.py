"""Installer of sharp, pyvips and ssimulacra2 into `.cache/bench`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / ".cache" / "bench"
SHARP = "sharp@0.35.5"
#: pyvips is pure Python around the wheel of libvips; ssimulacra2 needs numpy and scipy, which nothing else needs.
PACKAGES = ("pyvips==3.2.0", "pyvips-binary==8.18.7", "ssimulacra2==0.3.0", "numpy", "scipy", "pillow==13.0.0")
PYTHON = SCRATCH / "py" / "bin" / "python"
NODE = SCRATCH / "node"


def install() -> None:
    """Install both environments unless they are there. Needs npm and the network, once."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    stamp = SCRATCH / ".peers"
    wanted = f"{sys.version_info[:2]} {SHARP} {PACKAGES}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Installing sharp, pyvips and ssimulacra2 into .cache/bench", file=sys.stderr, flush=True)
    stamp.unlink(missing_ok=True)
    NODE.mkdir(exist_ok=True)
    _run("npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(NODE), SHARP)
    _run(sys.executable, "-m", "venv", "--clear", str(SCRATCH / "py"))
    _run(str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES)
    stamp.write_text(wanted)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, cwd=ROOT, stdin=subprocess.DEVNULL)
