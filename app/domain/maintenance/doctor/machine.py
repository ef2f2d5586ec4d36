"""Checks of the machine of a self-hosted installation: rights, disk, clock and limits."""

import os
import resource
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.domain.configuration.model import Settings
from app.domain.disk import MIN_FREE_ENTRIES, free_bytes
from app.domain.limits import MEBIBYTE
from app.domain.maintenance.doctor.findings import Problem, error

#: File systems of other machines, on which SQLite's locks are not reliable.
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.rclone", "fuse.s3fs"})
_MOUNTS = Path("/proc/self/mounts")
#: Difference in seconds between the clock of the machine and that of its disk.
_CLOCK_SECONDS = 5
#: File descriptors with which the server accepts as many requests as it can.
_DESCRIPTORS = 8192
#: Free space that is a multiple of the reserve is enough for some time.
_ROOM = 4


def check_rights(settings: Settings) -> Iterator[Problem]:
    """Check owner and modes of the data folder and the files in it."""
    folder = settings.data_folder
    if not folder.is_dir():
        yield error(
            "data_missing",
            f"the data folder {folder} does not exist",
            "correct DARKROOM_STORAGE_URL, or start the server once, which creates it",
        )
        return
    files = [settings.database_file, folder / "secret"]
    for path in [folder, *files, *(folder / name for name in ("originals", "processed", "tmp"))]:
        with suppress(FileNotFoundError):
            status = path.stat()
            if not os.access(path, os.R_OK | os.W_OK):
                yield error(
                    "not_writable",
                    f"{path} may not be read and written by this user ({os.geteuid()}); it belongs to {status.st_uid}",
                    f"run as that user, or: chown -R {os.geteuid()} {folder}",
                )
            elif status.st_mode & 0o077 and (path == folder or (path in files and _is_open(folder))):
                mode = stat.S_IMODE(status.st_mode)
                yield Problem("readable_by_others", f"{path} has the mode {mode:o}", f"chmod go= {path}")


def check_disk(settings: Settings) -> Iterator[Problem]:
    """Check free space, hard links and durable writes on the disk of the data folder."""
    folder = settings.data_folder
    if not folder.is_dir():
        return
    yield from _check_links(folder)
    free, reserve = free_bytes(folder), settings.min_free_mb * MEBIBYTE
    if free < reserve:
        yield error(
            "disk_full",
            f"{free // MEBIBYTE:,} MB are free, below DARKROOM_MIN_FREE_MB ({settings.min_free_mb:,}): uploads get 507",
            "free space, or delete images",
        )
    elif free < _ROOM * reserve:
        yield Problem(
            "disk_low",
            f"{free // MEBIBYTE:,} MB are free; uploads end below {settings.min_free_mb:,} MB",
            "free space, or use a larger disk",
        )
    status = os.statvfs(folder)
    if status.f_files and status.f_favail < MIN_FREE_ENTRIES:
        yield error("no_inodes", f"{status.f_favail} inodes are free", "use a file system with more inodes")
    for path in {folder, settings.database_file.parent}:
        kind = _file_system(path)
        if kind in _NETWORK:
            yield Problem(
                "network_disk",
                f"{path} is on a network file system ({kind}), on which locks of the database are not reliable",
                "use a local disk",
            )


def check_clock(settings: Settings) -> Iterator[Problem]:
    """Compare the clock of the machine with that of the disk."""
    if settings.data_folder.is_dir():
        with tempfile.TemporaryFile(dir=settings.data_folder) as file:
            difference = os.fstat(file.fileno()).st_mtime - time.time()
        if abs(difference) > _CLOCK_SECONDS:
            yield Problem(
                "disk_clock_differs",
                f"the disk's clock differs by {difference:+,.0f} seconds",
                "synchronize the clocks of this machine and of the disk's (NTP)",
            )


def check_limits(settings: Settings, memory_mb: int, slots: int) -> Iterator[Problem]:
    """Check descriptors and memory. `slots` images are processed at the same time."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
        yield Problem(
            "few_descriptors",
            f"{hard:,} open files are allowed, which bounds the requests at the same time",
            f"ulimit -Hn {_DESCRIPTORS}, or LimitNOFILE={_DESCRIPTORS} in the systemd unit",
        )
    if memory_mb < settings.processing_memory_mb:
        yield error(
            "memory_too_small",
            f"{memory_mb:,} MB of memory, less than DARKROOM_PROCESSING_MEMORY_MB ({settings.processing_memory_mb:,})",
            "lower that setting, or use a larger machine",
        )
    elif slots * settings.processing_memory_mb > memory_mb:
        yield Problem(
            "images_wait_for_memory",
            f"{slots} images of {settings.processing_memory_mb:,} MB need more than {memory_mb:,} MB; large ones wait",
            "lower DARKROOM_WORKERS or DARKROOM_PROCESSING_MEMORY_MB",
        )


def _check_links(folder: Path) -> Iterator[Problem]:
    probe = Path(tempfile.mkdtemp(prefix=".doctor-", dir=folder))
    try:
        with (probe / "file").open("wb") as file:
            file.write(bytes(4096))
            try:
                os.fsync(file.fileno())
            except OSError as refused:
                detail = f"the disk makes no file durable: {refused.strerror}"
                yield error("no_fsync", detail, "use another file system")
        try:
            (probe / "link").hardlink_to(probe / "file")
        except OSError as refused:
            yield error(
                "no_hard_links",
                f"the disk has no hard links ({refused.strerror}), which uploads need",
                "use a file system such as ext4, xfs, btrfs or zfs",
            )
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _is_open(folder: Path) -> bool:
    """Return True if other users can enter the folder."""
    return bool(folder.stat().st_mode & 0o011)


def _file_system(path: Path) -> str:
    """Return the type of the file system of a path; empty where it is not known."""
    found = ""
    with suppress(OSError):
        given, longest = str(path.resolve()), -1
        for line in _MOUNTS.read_text().splitlines():
            _, mount, kind, *_ = line.split(" ")
            mount = mount.replace("\\040", " ")
            is_below = mount in {"/", given} or given.startswith(f"{mount}/")
            if is_below and len(mount) >= longest:
                found, longest = kind, len(mount)
    return found
