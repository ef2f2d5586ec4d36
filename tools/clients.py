"""Install the JavaScript clients of the tests into `.cache/clients`, from their lock: `python tools/clients.py`.

Needs npm. Packages are checked against the hashes of `tests/clients/package-lock.json`, and run no install scripts.
"""

import hashlib
import shutil
import sys

from engines import ROOT, run

SOURCE = ROOT / "tests" / "clients"
TARGET = ROOT / ".cache" / "clients"
LOCK = "package-lock.json"


def main() -> int:
    """Install the packages unless they are there; return the exit status."""
    stamp, digest = TARGET / ".stamp", hashlib.sha256((SOURCE / LOCK).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return 0
    print("Installing JavaScript clients into .cache/clients", flush=True)
    stamp.unlink(missing_ok=True)
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", LOCK):
        shutil.copy(SOURCE / name, TARGET / name)
    run("npm", "ci", "--prefix", str(TARGET), "--ignore-scripts", "--no-audit", "--no-fund")
    stamp.write_text(digest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
