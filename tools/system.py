"""Installs the emulator of AWS that the whole stack runs on into `.cache/engines`: `python tools/system.py`.

ministack with the SAM translator, in an environment of their own, for it pins an SDK. `tools/containers.py` builds what
it runs.
"""

import sys
from functools import partial

from engines import ROOT, TARGET, environment, once


def main() -> int:
    """Install what is not there yet; the exit status."""
    TARGET.mkdir(parents=True, exist_ok=True)
    lock = (ROOT / "requirements" / "ministack.txt").read_text()
    once("ministack", f"{sys.version_info[:2]}{ROOT}{lock}", partial(environment, "ministack", ["ministack"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
