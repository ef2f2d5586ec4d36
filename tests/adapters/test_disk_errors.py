"""A disk that fails at any step of a write: what was readable stays readable, and no refusal is an acknowledgement."""

import errno
import fcntl
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from app.adapters.filesystem import FilesystemStore
from app.domain.errors import AlreadyExists, Full, Unavailable

KEY = "processed/0192f0c1-0000-7000-8000-0000000000ff/ab12/w320.webp"
ORIGINAL = "originals/0192f0c1-0000-7000-8000-0000000000ff"
CALLS = ("open", "fdopen", "fsync", "link", "replace", "mkdir", "unlink")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
MOST_STEPS = 40


class FailingDisk:
    """Counts calls of `os` and fails the one of that number, and the later ones too if the failure is lasting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, code: int, *, lasting: bool) -> None:
        self.calls: list[str] = []
        self.failed: list[str] = []
        self._number, self._code, self._lasting = number, code, lasting
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            self.calls.append(name)
            number = len(self.calls) - 1
            if number == self._number or (self._lasting and number > self._number):
                self.failed.append(name)
                if name == "fdopen":
                    os.close(arguments[0])
                raise OSError(self._code, os.strerror(self._code), "/private/folder/name")
            return call(*arguments, **options)

        return wrapper


def read(store: FilesystemStore, key: str) -> bytes | None:
    if store.stat(key) is None:
        return None
    with store.open(key) as stream:
        return stream.read()


def attempt(
    write: Callable[..., None], key: str, data: bytes, body: Callable[[], BinaryIO] = io.BytesIO
) -> Unavailable | None:
    try:
        with body() as opened:
            opened.write(data)
            opened.seek(0)
            write(key, opened, size=len(data), content_type="image/webp")
    except Unavailable as error:
        return error
    return None


def check_error(error: Unavailable, code: int) -> None:
    assert isinstance(error, Full) == (code in {errno.ENOSPC, errno.EDQUOT})
    links: list[BaseException | None] = [error]
    while links[-1] is not None:
        assert "private" not in str(links[-1])
        links.append(links[-1].__cause__)


def steps(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, key: str) -> int:
    store = FilesystemStore(folder / "counted")
    with monkeypatch.context() as patch:
        disk = FailingDisk(patch, MOST_STEPS, errno.EIO, lasting=False)
        getattr(store, name)(key, io.BytesIO(b"new"), size=3, content_type="image/webp")
    assert 5 < len(disk.calls) < MOST_STEPS
    return len(disk.calls)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
def test_a_put_that_fails_at_any_step_leaves_the_old_bytes_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, lasting: bool
) -> None:
    failures = 0
    for number in range(steps(tmp_path, monkeypatch, "put", KEY)):
        store = FilesystemStore(tmp_path / f"data{number}")
        store.put(KEY, io.BytesIO(b"old"), size=3, content_type="image/webp")
        with monkeypatch.context() as patch:
            disk = FailingDisk(patch, number, code, lasting=lasting)
            error = attempt(store.put, KEY, b"new")
        found = read(store, KEY)
        assert found in ([b"old", b"new"] if error else [b"new"]), disk.calls
        if error:
            failures += 1
            check_error(error, code)
    assert failures >= 5


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
def test_a_copy_that_fails_at_any_step_leaves_the_source_and_the_old_bytes_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, lasting: bool
) -> None:
    failures = 0
    for number in range(MOST_STEPS):
        store = FilesystemStore(tmp_path / f"data{number}")
        store.put(ORIGINAL, io.BytesIO(b"new"), size=3, content_type="image/webp")
        store.put(KEY, io.BytesIO(b"old"), size=3, content_type="image/webp")
        error = None
        with monkeypatch.context() as patch:
            disk = FailingDisk(patch, number, code, lasting=lasting)
            try:
                store.copy(ORIGINAL, KEY)
            except Unavailable as raised:
                error = raised
        if not disk.failed:
            break
        assert read(store, ORIGINAL) == b"new"
        assert read(store, KEY) in ([b"old", b"new"] if error else [b"new"]), disk.calls
        if error:
            failures += 1
            check_error(error, code)
    else:
        pytest.fail("more steps than expected")
    assert failures >= 5


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("spooled", [False, True], ids=["from memory", "from the spool"])
def test_a_create_that_fails_at_any_step_leaves_nothing_that_was_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, lasting: bool, spooled: bool
) -> None:
    for number in range(steps(tmp_path, monkeypatch, "create", ORIGINAL) + (3 if spooled else 0)):
        told: list[str] = []
        store = FilesystemStore(tmp_path / f"data{number}", on_created=lambda key, size: told.append(key))  # noqa: B023
        with monkeypatch.context() as patch:
            disk = FailingDisk(patch, number, code, lasting=lasting)
            error = attempt(store.create, ORIGINAL, b"new", store.spool if spooled else io.BytesIO)
        found = read(store, ORIGINAL)
        assert told == ([] if error else [ORIGINAL])
        if error:
            check_error(error, code)
            # Where even the name cannot be removed again the object stays, whole.
            assert found in ([None, b"new"] if "unlink" in disk.failed else [None]), disk.calls
        else:
            assert found == b"new"
        if "unlink" not in disk.failed:
            assert list((tmp_path / f"data{number}" / "tmp").iterdir()) == []


def test_a_racing_create_waits_until_the_first_one_is_durable_or_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call must not report an object that the first one removes a moment later."""
    store = FilesystemStore(tmp_path / "data")
    linked, waiting, go_on = threading.Event(), threading.Event(), threading.Event()
    fsync, link, flock = os.fsync, os.link, fcntl.flock
    results: dict[bytes, Unavailable | None] = {}

    def create(body: bytes) -> None:
        results[body] = attempt(store.create, ORIGINAL, body)

    first = threading.Thread(target=create, args=(b"first",))

    def failing(descriptor: int) -> None:
        if threading.current_thread() is first and linked.is_set():
            assert go_on.wait(60)
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    def linking(*arguments: Any, **options: Any) -> None:
        link(*arguments, **options)
        linked.set()

    def locking(descriptor: int, operation: int) -> None:
        if linked.is_set() and threading.current_thread() is not first:
            waiting.set()
        flock(descriptor, operation)

    monkeypatch.setattr(os, "fsync", failing)
    monkeypatch.setattr(os, "link", linking)
    monkeypatch.setattr(fcntl, "flock", locking)
    first.start()
    assert linked.wait(60)
    second = threading.Thread(target=create, args=(b"second",))
    second.start()
    assert waiting.wait(60)
    go_on.set()
    first.join(60)
    second.join(60)
    assert isinstance(results[b"first"], Unavailable)
    assert results[b"second"] is None
    assert read(store, ORIGINAL) == b"second"


def test_an_object_whose_writer_was_killed_is_made_durable_before_it_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilesystemStore(tmp_path / "data")
    assert attempt(store.create, ORIGINAL, b"bytes") is None

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        assert attempt(store.create, ORIGINAL, b"bytes") is not None
    with pytest.raises(AlreadyExists):
        attempt(store.create, ORIGINAL, b"bytes")


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
def test_a_delete_that_is_refused_says_so_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = FilesystemStore(tmp_path / "data")
    for key in (KEY, ORIGINAL):
        store.put(key, io.BytesIO(b"old"), size=3, content_type="image/webp")
    with monkeypatch.context() as patch:
        FailingDisk(patch, 0, code, lasting=True)
        for refused in (lambda: store.delete(ORIGINAL), lambda: store.delete_prefix("processed/")):
            with pytest.raises(Unavailable) as caught:
                refused()
            check_error(caught.value, code)
    assert read(store, KEY) == read(store, ORIGINAL) == b"old"
    store.delete(ORIGINAL)
    assert store.delete_prefix("processed/") == 1


@pytest.mark.parametrize("call", ["link", "replace"])
def test_a_folder_whose_file_system_refuses_what_uploads_need_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = FilesystemStore(tmp_path / "data")
    store.ping()

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", "/private/folder/name")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refused)
        with pytest.raises(Unavailable, match="Operation not permitted"):
            store.ping()
    store.ping()
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_the_rest_of_a_killed_probe_is_no_object_and_is_swept(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "data")
    store.ping()
    left = tmp_path / "data" / "originals" / ".probe-0"
    left.write_bytes(b"x")
    (tmp_path / "data" / "tmp" / "folder").mkdir()
    assert list(store.list("originals/")) == []
    assert store.sweep(older_than=0) == 1
    assert not left.exists()
