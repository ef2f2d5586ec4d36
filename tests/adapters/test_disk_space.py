"""The reserve of a disk: no new bytes below it, while images in progress and deletes go on."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.adapters.filesystem import FilesystemStore
from app.domain.errors import AlreadyExists, Full, Unavailable

MEBIBYTE = 1024 * 1024
RESERVE = 256 * MEBIBYTE
KEY, VARIANT = "originals/a", "processed/a/r/w320.webp"


class Disk:
    """Free and total space that the system reports."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 10 * 1024 * MEBIBYTE
        self.entries = (1_000_000, 900_000)
        monkeypatch.setattr(os, "statvfs", lambda _: self._stat())

    def _stat(self) -> Any:
        files, free = self.entries
        return SimpleNamespace(f_bavail=self.free // 4096, f_frsize=4096, f_files=files, f_favail=free, f_flag=0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    return FilesystemStore(tmp_path / "data", min_free_bytes=RESERVE)


def write(call: Callable[..., None], key: str, size: int = 1000) -> None:
    call(key, io.BytesIO(bytes(size)), size=size, content_type="image/webp")


def test_below_the_reserve_originals_are_refused_and_everything_else_works(store: FilesystemStore, disk: Disk) -> None:
    write(store.create, KEY)
    disk.free = RESERVE - 1
    with pytest.raises(Full) as caught:
        write(store.create, "originals/b")
    assert (caught.value.min_free_bytes, caught.value.free_bytes) == (RESERVE, RESERVE // 4096 * 4096 - 4096)
    for refused in (lambda: store.check_space(0), store.ping):
        with pytest.raises(Full):
            refused()
    with pytest.raises(AlreadyExists):
        write(store.create, KEY)
    write(store.put, VARIANT)
    assert store.stat(KEY) is not None
    with store.open(VARIANT) as stream:
        assert len(stream.read()) == 1000
    store.copy(VARIANT, "processed/public/a/r/w320.webp")
    store.delete(KEY)
    assert store.delete_prefix("processed/") == 2
    disk.free = RESERVE + MEBIBYTE
    write(store.create, "originals/b")
    store.ping()


def test_writes_into_the_reserve_are_refused(store: FilesystemStore, disk: Disk) -> None:
    disk.free = RESERVE + MEBIBYTE
    store.check_space(MEBIBYTE)
    write(store.create, KEY, MEBIBYTE)
    for refused in (lambda: store.check_space(MEBIBYTE + 1), lambda: write(store.create, "originals/b", MEBIBYTE + 1)):
        with pytest.raises(Full):
            refused()


def test_temporary_space_ends_where_the_reserve_begins(store: FilesystemStore, disk: Disk) -> None:
    with store.spool() as body:
        body.write(bytes(MEBIBYTE - 1))
        disk.free = RESERVE - 1
        with pytest.raises(Full):
            body.write(b"x")


def test_a_disk_without_file_entries_is_full(store: FilesystemStore, disk: Disk) -> None:
    disk.entries = (1_000_000, 500)
    with pytest.raises(Full):
        write(store.create, KEY)
    disk.entries = (0, 0)  # a file system that counts none
    write(store.create, KEY)


def test_without_a_reserve_the_disk_itself_decides(tmp_path: Path, disk: Disk) -> None:
    store = FilesystemStore(tmp_path / "data")
    disk.free = 0
    write(store.create, KEY)
    store.ping()
    store.check_space(10**12)


def test_the_free_space_is_that_of_the_folder_s_disk(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    FilesystemStore(tmp_path / "data", min_free_bytes=max(1, free // 2)).ping()
    with pytest.raises(Full):
        FilesystemStore(tmp_path / "data", min_free_bytes=2 * free + 10**12).ping()


def test_a_folder_that_is_gone_is_unavailable_and_not_full(store: FilesystemStore, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    for refused in (lambda: store.check_space(0), store.spool):
        with pytest.raises(Unavailable) as caught:
            refused()
        assert not isinstance(caught.value, Full)
