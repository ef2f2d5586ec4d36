"""Install the linters of `template.yaml` into `.cache/engines`: `python tools/template.py`.

AWS SAM CLI with cfn-lint and the SAM translator go into one environment, checkov into another: they pin different SDKs.
"""

import sys
from functools import partial

from engines import ROOT, TARGET, environment, once

#: Name of each environment, and its lock.
ENVIRONMENTS = {"sam": "template", "checkov": "checkov"}


def main() -> int:
    """Install everything that is missing; return the exit status.

    Modules are compiled when they are imported first: the linters import a fraction of them.
    """
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, lock in ENVIRONMENTS.items():
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        once(name, f"{sys.version_info[:2]}{ROOT}{text}", partial(environment, name, [lock], "--no-compile"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
