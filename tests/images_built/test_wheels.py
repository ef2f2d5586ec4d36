"""Every package is there as a wheel for what Lambda runs: either architecture, and the base's C library."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.test_locks import pinned
from tests.repository.tree import ROOT

pytestmark = pytest.mark.containers

#: The C library of Amazon Linux 2023 is 2.34. pip takes no older ones by itself: those that wheels are built for.
PLATFORMS = ("manylinux_2_34", "manylinux_2_31", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
LOCKS = ("api", "worker")


def resolved(*locks: Path, platforms: list[str], folder: Path) -> tuple[str, list[str]]:
    """pip's complaint, and the wheels that it would install on these platforms from the locks."""
    report = folder / "report.json"
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run",
        "--ignore-installed", "--report", str(report), "--target", str(folder / "nothing"),
        "--require-hashes", "--only-binary=:all:", "--no-deps", *(f"--requirement={lock}" for lock in locks),
        "--python-version", "3.13", "--implementation", "cp", "--abi", "cp313",
        *(f"--platform={platform}" for platform in platforms),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        return run.stderr[-2000:], []
    installed = json.loads(report.read_text())["install"]
    return "", [item["download_info"]["url"].rpartition("/")[2] for item in installed]


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_there_is_a_wheel_of_every_package(tmp_path: Path, architecture: str) -> None:
    locks = [ROOT / "requirements" / f"{name}.txt" for name in LOCKS]
    platforms = [f"{platform}_{architecture}" for platform in PLATFORMS]
    complaint, found = resolved(*locks, platforms=platforms, folder=tmp_path)
    assert complaint == ""
    assert len(found) == len({**pinned("api"), **pinned("worker")})
    compiled = {wheel for wheel in found if not wheel.endswith("-any.whl")}
    assert {wheel.partition("-")[0] for wheel in compiled} >= {"pillow", "pillow_heif", "pydantic_core"}
    assert [wheel for wheel in compiled if architecture not in wheel] == []


def test_the_guard_sees_a_package_without_one(tmp_path: Path) -> None:
    """Otherwise it would prove nothing: Pillow has no wheel for so old a C library."""
    lock = tmp_path / "lock.txt"
    (entry,) = re.findall(r"^pillow==.+(?:\n .+)+", (ROOT / "requirements" / "worker.txt").read_text(), re.MULTILINE)
    lock.write_text(entry)
    complaint, _ = resolved(lock, platforms=["manylinux_2_17_x86_64"], folder=tmp_path)
    assert "No matching distribution found for pillow" in complaint
