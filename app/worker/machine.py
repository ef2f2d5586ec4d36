"""Processors and memory that this process may use, within the limits of its container."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cpus(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the number of processors: those of this process's affinity, or fewer if its cgroup has a quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    for folder in _folders(cgroups, own, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):
            count = min(count, math.ceil(int(quota) / int(period)))
    return max(1, count)


def usable_memory_mb(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the memory in MB: that of the machine, or less if a cgroup limits this process."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in _folders(cgroups, own, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _read(folder / name)
            if limit.isdigit():
                found = min(found, int(limit))
    return max(1, found // 1_048_576)


def _folders(cgroups: Path, own: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroup and those above it, of version 2 and of the controller's version 1.

    Inside a container the path may be that of the host; then the uppermost folder is the container's own.
    """
    for line in _read(own).splitlines():
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number != "0" and controller not in controllers.split(","):
            continue
        root = cgroups if number == "0" else cgroups / controller
        parts = Path(path).relative_to("/").parts if path.startswith("/") and ".." not in path else ()
        for length in range(len(parts), -1, -1):
            yield root.joinpath(*parts[:length])


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
