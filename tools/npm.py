"""Install npm packages of tests into `.cache`, from their lock.

`python tools/npm.py openapi` installs those of `tests/openapi`. Needs npm. Packages are checked against the hashes of
the lock, and run no install scripts.
"""

import hashlib
import shutil
import sys

from engines import ROOT, run

LOCK = "package-lock.json"


def main(name: str) -> int:
    """Install the packages unless they are there; return the exit status."""
    source, target = ROOT / "tests" / name, ROOT / ".cache" / name
    stamp, digest = target / ".stamp", hashlib.sha256((source / LOCK).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return 0
    print(f"Installing npm packages of tests/{name} into .cache/{name}", flush=True)
    stamp.unlink(missing_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", LOCK):
        shutil.copy(source / file, target / file)
    run("npm", "ci", "--prefix", str(target), "--ignore-scripts", "--no-audit", "--no-fund")
    stamp.write_text(digest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
