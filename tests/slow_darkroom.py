"""The `darkroom` command on a slow disk: `python -m tests.slow_darkroom ARGUMENTS`.

It stores or links some files, and then takes a while for each, until the file exists that `RELEASED` in the environment
names. So a test that looks late, because the machine is busy, still finds the run in its midst.
"""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from darkroom.__main__ import main

#: Files without a pause.
_FAST = 20
_PAUSE_SECONDS = 0.5
_calls = itertools.count()


def _slow(call: Callable[..., None]) -> Callable[..., None]:
    def slow(*arguments: Any, **options: Any) -> None:
        if next(_calls) >= _FAST and not Path(os.environ["RELEASED"]).exists():
            time.sleep(_PAUSE_SECONDS)
        call(*arguments, **options)

    return slow


if __name__ == "__main__":
    os.fsync, os.link = _slow(os.fsync), _slow(os.link)
    main()
