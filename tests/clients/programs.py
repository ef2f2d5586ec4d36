"""Programs of the tested clients, and the environment that runs them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Installed by `make test-clients` from `tests/clients/package-lock.json`.
NODE_MODULES = ROOT / ".cache" / "clients" / "node_modules"
PROGRAMS = Path(__file__).parent / "programs"


def run(*command: str) -> Any:
    """Run a client; return what it printed, parsed as JSON."""
    environment = os.environ | {"NODE_PATH": str(NODE_MODULES)}
    done = subprocess.run(command, capture_output=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    return json.loads(done.stdout)
