"""A small disk of one's own: a tmpfs in a mount namespace, which needs root or user namespaces."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_WAYS = (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"])


@cache
def way_to_mount() -> list[str] | None:
    """The command under which this user may mount a disk; None if this system lets nobody."""
    with tempfile.TemporaryDirectory() as folder:
        for way in _WAYS:
            with suppress(OSError):
                tried = subprocess.run(
                    [*way, "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False
                )
                if tried.returncode == 0:
                    return way
    return None


class SmallDisk:
    """`folder` is where the disk is for processes run with `prefix`, `outside` where this process sees it."""

    def __init__(self, folder: Path, holder: int, *, user: bool) -> None:
        self.folder = folder
        self.outside = Path(f"/proc/{holder}/root{folder}")
        namespaces = ["--user", "--preserve-credentials"] if user else []
        self.prefix = ["nsenter", "--target", str(holder), *namespaces, "--mount", "--wdns=."]

    def free(self) -> int:
        """Bytes that are free."""
        status = os.statvfs(self.outside)
        return status.f_bavail * status.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Have another program take all of the space but this much."""
        with (self.outside / "junk").open("ab", buffering=0) as junk, suppress(OSError):
            while (rest := self.free() - leave) > 0:
                junk.write(bytes(min(rest, 1024 * 1024)))

    def clear(self) -> None:
        """Have that program give it back."""
        (self.outside / "junk").unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """A disk of that size at the folder, which exists, for the length of a block."""
    way = way_to_mount()
    assert way is not None
    script = 'mount -t tmpfs -o "size=$1m,mode=700" tmpfs "$2" && echo mounted && exec cat'
    holder = subprocess.Popen(
        [*way, "sh", "-c", script, "sh", str(megabytes), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"mounted\n"
        yield SmallDisk(folder, holder.pid, user="--user" in way)
    finally:
        holder.stdin.close()
        holder.wait(60)
        holder.stdout.close()
