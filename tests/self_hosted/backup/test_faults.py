"""A target that fills up, is on another disk, or whose run is interrupted or killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_server import wait_for
from tests.self_hosted.backup.installations import backup, created, files, report, store
from tests.sides import Side
from tests.small_disk import SmallDisk, small_disk, way_to_mount

MEBIBYTE = 1024 * 1024
COMMAND = [sys.executable, "-m", "darkroom", "backup", "create"]

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, 16) as mounted:
        yield mounted


def create_on(disk: SmallDisk, *options: str, command: str = "create") -> subprocess.CompletedProcess[str]:
    """Back up to the disk, which only processes in its namespace see."""
    run = [*disk.prefix, *COMMAND[:-1], command, str(disk.folder / "backups"), *options]
    return subprocess.run(run, capture_output=True, text=True, timeout=120, check=False, env=os.environ)


@pytest.mark.skipif(way_to_mount() is None, reason="this system lets this user mount no disk")
def test_a_full_disk_leaves_the_earlier_backup_good_and_no_part_of_the_new_one(side: Side, disk: SmallDisk) -> None:
    for number in range(4):
        store(side, bytes([number]) * MEBIBYTE)
    first = create_on(disk)
    assert first.returncode == 0, first.stderr
    for number in range(4, 20):
        store(side, bytes([number]) * MEBIBYTE)
    free = disk.free()
    full = create_on(disk)
    assert full.returncode == 1
    error, cause, remedy = full.stderr.splitlines()
    assert (error, cause) == (f"error: cannot write to {disk.folder}/backups", "cause: no space left on device")
    assert remedy.startswith("try: free space on its disk")
    assert disk.free() == free
    backups = disk.outside / "backups"
    (kept,) = backups.glob("[!.]*")
    assert create_on(disk, command="verify").stdout.startswith(f"{kept.name}: 4 images, 8 files")
    assert len(list(backups.iterdir())) == 2


@pytest.mark.skipif(way_to_mount() is None, reason="this system lets this user mount no disk")
def test_on_another_disk_backups_are_linked_to_each_other(side: Side, disk: SmallDisk) -> None:
    for number in range(4):
        store(side, bytes([number]) * MEBIBYTE)
    first, second = create_on(disk, "--json"), create_on(disk, "--json")
    assert (first.returncode, second.returncode, first.stderr + second.stderr) == (0, 0, "")
    assert '"linked": 8' in second.stdout
    assert disk.free() > 10 * MEBIBYTE


@pytest.mark.skipif(way_to_mount() is None, reason="this system lets this user mount no disk")
def test_a_disk_that_is_full_from_the_start(side: Side, disk: SmallDisk) -> None:
    store(side, b"one")
    disk.fill()
    full = create_on(disk)
    assert full.returncode == 1
    assert "cause: no space left on device" in full.stderr


def run_slowly(released: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a run that is slow until the file `released` exists."""
    command = [sys.executable, "-m", "tests.slow_darkroom", "backup", *map(str, arguments)]
    environment = os.environ | {"RELEASED": str(released)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def started(target: Path, released: Path) -> subprocess.Popen[str]:
    """A slow run that has begun to copy files."""
    process = run_slowly(released, "create", target)
    wait_for(lambda: list(target.glob(".unfinished-*/originals/*/*")), 60)
    return process


@pytest.fixture
def released(tmp_path: Path) -> Path:
    return tmp_path / "released"


@pytest.fixture
def many(side: Side) -> int:
    """Images enough that a signal comes in the midst of their slow copying."""
    for number in range(300):
        store(side, b"%d" % number)
    return 300


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(
    side: Side, many: int, target: Path, released: Path, number: signal.Signals
) -> None:
    first = created(target)
    store(side, b"new")
    for other in target.glob("2*"):
        assert other == first
    process = started(target, released)
    process.send_signal(number)
    released.touch()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Interrupted. Nothing was written; earlier backups are unchanged.\n"
    assert sorted(path.name for path in target.iterdir()) == [".darkroom-backups", first.name]
    assert backup("verify", target).exit_code == 0


def test_a_killed_run_leaves_the_earlier_backup_and_the_next_one_works(
    data: Path, side: Side, many: int, target: Path, released: Path
) -> None:
    first = created(target)
    process = started(target, released)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert list(target.glob(".unfinished-*"))
    assert backup("verify", target).stdout.startswith(f"{first.name}: {many:,} images")
    second = created(target)
    assert sorted(path.name for path in target.iterdir()) == [".darkroom-backups", first.name, second.name]
    assert files(second) == files(data)


def test_of_two_runs_at_once_one_is_refused(side: Side, many: int, target: Path, released: Path) -> None:
    process = started(target, released)
    done = backup("create", target)
    released.touch()
    assert (done.exit_code, done.stderr.splitlines()[1]) == (1, "cause: another backup to it is running")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert report(backup("verify", target, "--json"))["images"] == many


def test_an_interrupted_restore_leaves_an_empty_folder(
    side: Side, many: int, target: Path, released: Path, tmp_path: Path
) -> None:
    created(target)
    restored = tmp_path / "restored"
    process = run_slowly(released, "restore", target, "--into", restored)
    wait_for(lambda: list(restored.glob("originals/*/*")), 60)
    process.send_signal(signal.SIGINT)
    released.touch()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Interrupted. The folder is empty again.\n")
    assert list(restored.iterdir()) == []
