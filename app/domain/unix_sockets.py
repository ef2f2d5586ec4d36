"""Paths of Unix sockets, which the system limits to about a hundred bytes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Longest path of a socket: 107 bytes on Linux, 103 on macOS.
LONGEST: Final = 103


@contextmanager
def usable_path(path: Path) -> Iterator[str]:
    """Yield a path of the socket that is short enough to bind and to connect to.

    For a long one on Linux, it leads over a descriptor of the folder. Raises `OSError` if there is none.
    """
    if len(os.fsencode(path)) <= LONGEST or sys.platform != "linux":
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
