"""Processors and memory of this process, with the limits of containers."""

import os
from pathlib import Path

import pytest

from app.worker.machine import usable_cpus, usable_memory_mb

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Cgroups:
    """Folders of cgroups, and the file that names those of a process."""

    def __init__(self, folder: Path) -> None:
        self.root, self.own = folder / "cgroup", folder / "own"
        self.root.mkdir()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    @property
    def cpus(self) -> int:
        return usable_cpus(self.root, self.own)

    @property
    def memory_mb(self) -> int:
        return usable_memory_mb(self.root, self.own)


@pytest.fixture
def cgroups(tmp_path: Path) -> Cgroups:
    return Cgroups(tmp_path)


def test_without_limits_all_is_usable(cgroups: Cgroups) -> None:
    assert cgroups.cpus == CPUS
    everything = cgroups.memory_mb
    assert everything > 0
    cgroups.own.write_text("0::/a\n")
    cgroups.write("a/cpu.max", "max 100000")
    cgroups.write("a/memory.max", "max")
    assert (cgroups.cpus, cgroups.memory_mb) == (CPUS, everything)


@pytest.mark.parametrize(("quota", "cpus"), [("50000 100000", 1), ("100000 100000", 1), ("9900000 100000", CPUS)])
def test_a_quota_of_processors_counts(cgroups: Cgroups, quota: str, cpus: int) -> None:
    cgroups.own.write_text("0::/a/b\n")
    cgroups.write("a/cpu.max", quota)
    cgroups.write("a/b/cpu.max", "max 100000")
    assert cgroups.cpus == cpus


@pytest.mark.parametrize("where", ["a/b", "a", "."])
def test_the_smallest_memory_limit_of_all_groups_counts(cgroups: Cgroups, where: str) -> None:
    cgroups.own.write_text("0::/a/b\n")
    cgroups.write(f"{where}/memory.max", str(300 * 1_048_576))
    assert cgroups.memory_mb == 300


def test_limits_of_version_1_count(cgroups: Cgroups) -> None:
    cgroups.own.write_text("12:memory:/docker/1\n7:cpu,cpuacct:/docker/1\n0::/system\n")
    cgroups.write("memory/memory.limit_in_bytes", str(200 * 1_048_576))
    cgroups.write("cpu/cpu.cfs_quota_us", "100000")
    cgroups.write("cpu/cpu.cfs_period_us", "100000")
    assert (cgroups.cpus, cgroups.memory_mb) == (1, 200)


@pytest.mark.parametrize("text", ["", "nonsense", "0::relative", "0::/../../etc", "::", "0:"])
def test_a_file_of_another_form_limits_nothing(cgroups: Cgroups, text: str) -> None:
    cgroups.own.write_text(text)
    assert cgroups.cpus == CPUS
    assert cgroups.memory_mb > 0
