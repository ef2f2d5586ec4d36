"""Install the AWS emulator of the system tests into `.cache/engines`: `python tools/system.py`.

The emulator is ministack with the SAM translator, in a separate environment because it pins an SDK.
`tools/containers.py` builds the images that it runs.
"""

import sys
from functools import partial

from engines import ROOT, TARGET, environment, once


def main() -> int:
    """Install everything that is missing; return the exit status."""
    TARGET.mkdir(parents=True, exist_ok=True)
    lock = (ROOT / "requirements" / "ministack.txt").read_text()
    once("ministack", f"{sys.version_info[:2]}{ROOT}{lock}", partial(environment, "ministack", ["ministack"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
