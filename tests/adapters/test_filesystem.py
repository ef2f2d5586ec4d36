"""Corners that only a store of files has."""

import io
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from app.adapters.filesystem import FilesystemStore, spool
from app.domain.errors import AlreadyExists, ConfigurationError, Missing, Unavailable
from app.domain.ids import new_id
from app.domain.keys import original_key, processed_prefix, variant_key
from tests.small_disk import small_disk, way_to_mount


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(folder: Path) -> FilesystemStore:
    return FilesystemStore(folder)


def put(store: FilesystemStore, key: str, data: bytes = b"data") -> None:
    store.create(key, io.BytesIO(data), size=len(data), content_type="image/jpeg")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def run(program: str, folder: Path) -> str:
    """The output of a program in a process of its own, which finds the store's folder in `folder`."""
    head = f"import io, os\nfrom pathlib import Path\nfolder = Path({str(folder)!r})\n"
    head += "from app.adapters.filesystem import FilesystemStore\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


BAD_KEYS = [
    "",
    "one",
    "/",
    "//",
    "a/",
    "/a",
    "a//b",
    "../a",
    "a/..",
    "a/../../b",
    "a/./b",
    "a/b\0",
    "a/b\n",
    "a/b c",
    "a/ü",
    "a\\..\\b/c",
    "a/" + "x" * 256,
    "a/" + "b/" * 600 + "c",
    "tmp/x",
    "secret",
    "darkroom.db",
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_invalid_keys_are_neither_written_nor_found(store: FilesystemStore, folder: Path, key: str) -> None:
    (folder / "secret").write_text("secret")
    (folder / "darkroom.db").write_text("records")
    (folder / "tmp/x").write_text("half")
    (folder.parent / "a").write_text("outside")
    before = sorted(files(folder.parent))
    for write in (store.create, store.put):
        with pytest.raises(ValueError, match="not a key"):
            write(key, io.BytesIO(b"x"), size=1, content_type="image/jpeg")
    for source in ("originals/absent", key):
        with pytest.raises(Missing):
            store.copy(source, key)
    assert store.path(key) is None
    assert store.stat(key) is None
    with pytest.raises(Missing), store.open(key):
        pytest.fail("there was something")
    store.delete(key)
    assert store.delete_prefix(f"{key}/") == store.delete_prefix(key) == 0
    assert list(store.list(f"{key}/")) == []
    assert sorted(files(folder.parent)) == before


def test_images_are_spread_over_folders(store: FilesystemStore, folder: Path) -> None:
    keys = {original_key(new_id()) for _ in range(300)}
    for key in keys:
        put(store, key)
    folders = list((folder / "originals").iterdir())
    assert len(folders) > 100
    assert max(len(list(each.iterdir())) for each in folders) < 20
    assert {info.key for info in store.list("originals/")} == keys


def test_public_variants_are_spread_over_folders_too(store: FilesystemStore, folder: Path) -> None:
    ids = [new_id() for _ in range(300)]
    keys = {variant_key(image_id, "r", "thumb.webp", public=public) for image_id in ids for public in (False, True)}
    for key in keys:
        put(store, key)
    for top in (folder / "processed", folder / "processed" / "public"):
        folders = [each for each in top.iterdir() if each.name != "public"]
        assert len(folders) > 100
        assert max(len(list(each.iterdir())) for each in folders) < 20
    assert {info.key for info in store.list("processed/")} == keys
    assert {info.key for info in store.list("processed/public/")} == {key for key in keys if "public" in key}


def test_an_object_beside_the_public_ones_has_a_name_like_their_prefix(store: FilesystemStore) -> None:
    keys = ["processed/public", "processed/publicity/a", "processed/public/a", "originals/public/a"]
    for key in keys:
        put(store, key, key.encode())
    for key in keys:
        with store.open(key) as stream:
            assert stream.read() == key.encode()
    assert sorted(info.key for info in store.list("processed/")) == sorted(keys[:3])
    assert [info.key for info in store.list("processed/public/")] == ["processed/public/a"]
    assert store.delete_prefix("processed/public/") == 1
    assert sorted(info.key for info in store.list("processed/")) == sorted(keys[:2])


def test_a_copy_is_a_file_of_its_own(store: FilesystemStore) -> None:
    source, target = original_key(new_id()), variant_key(new_id(), "r", "a.webp")
    put(store, source, b"bytes")
    path = store.path(source)
    assert path is not None
    os.utime(path, (1, 1))
    store.copy(source, target)
    copy = store.path(target)
    assert copy is not None
    assert copy.stat().st_ino != path.stat().st_ino
    assert abs(copy.stat().st_mtime - time.time()) < 3600
    assert copy.stat().st_mode & 0o077 == 0
    with pytest.raises(ValueError, match="not a key"):
        store.copy(source, "tmp/x")


def test_a_link_is_not_copied(store: FilesystemStore, tmp_path: Path) -> None:
    outside = tmp_path / "passwd"
    outside.write_text("root")
    put(store, "originals/a")
    planted = store.path("originals/a")
    assert planted is not None
    planted.unlink()
    planted.symlink_to(outside)
    with pytest.raises(Missing):
        store.copy("originals/a", "processed/a/r/a.webp")
    assert list(store.list("processed/")) == []


def test_the_path_of_an_object_is_its_file(store: FilesystemStore, folder: Path) -> None:
    key = original_key(new_id())
    assert store.path(key) is None
    put(store, key, b"bytes")
    path = store.path(key)
    assert path is not None
    assert path.read_bytes() == b"bytes"
    assert path.is_relative_to(folder)
    assert path.stat().st_mode & 0o077 == 0


def test_deleting_an_image_leaves_no_byte_and_no_folder_of_it(store: FilesystemStore, folder: Path) -> None:
    kept, gone = new_id(), new_id()
    put(store, original_key(kept))
    before = sorted(folder.rglob("*"))
    put(store, original_key(gone))
    for rendering in ("r1", "r2"):
        put(store, variant_key(gone, rendering, "thumb.webp"))
    store.delete_prefix(processed_prefix(gone))
    store.delete(original_key(gone))
    assert sorted(set(folder.rglob("*")) - {folder / "processed"}) == before


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to("disk")
    store = FilesystemStore(tmp_path / "data")
    put(store, "originals/a")
    assert store.stat("originals/a") is not None
    assert len(files(tmp_path / "disk")) == 1


def test_a_link_in_place_of_an_object_is_not_followed(store: FilesystemStore, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "passwd"
    outside.write_text("root")
    key = original_key(new_id())
    put(store, key)
    planted = store.path(key)
    assert planted is not None
    planted.unlink()
    planted.symlink_to(outside)
    assert store.path(key) is None
    assert store.stat(key) is None
    assert list(store.list("originals/")) == []
    with pytest.raises(Missing), store.open(key):
        pytest.fail("the link was followed")
    with pytest.raises(AlreadyExists):
        put(store, key)
    store.put(key, io.BytesIO(b"new"), size=3, content_type="image/jpeg")
    assert outside.read_text() == "root"
    planted.unlink()
    planted.symlink_to(outside)
    store.delete(key)
    assert not planted.is_symlink()
    assert outside.read_text() == "root"


def test_a_link_in_place_of_a_folder_is_not_followed(store: FilesystemStore, folder: Path, tmp_path: Path) -> None:
    image_id = new_id()
    outside = tmp_path / "outside"
    (outside / image_id / "r").mkdir(parents=True)
    (outside / image_id / "r" / "a.webp").write_text("theirs")
    (outside / image_id / "original").write_text("theirs")
    (folder / "processed").mkdir()
    (folder / "processed" / image_id[-2:]).symlink_to(outside)
    key = variant_key(image_id, "r", "a.webp")
    assert store.path(key) is None
    assert store.stat(key) is None
    assert list(store.list("processed/")) == list(store.list(processed_prefix(image_id))) == []
    for write in (store.create, store.put):
        with pytest.raises((Unavailable, AlreadyExists)):
            write(key, io.BytesIO(b"mine"), size=4, content_type="image/webp")
    with pytest.raises(Unavailable):
        put(store, variant_key(image_id, "r2", "b.webp"))
    store.delete(key)
    assert store.delete_prefix(processed_prefix(image_id)) == 0
    store.delete_prefix("processed/")
    assert {path.read_text() for path in files(outside)} == {"theirs"}
    assert len(files(outside)) == 2


def test_a_link_in_place_of_the_temporary_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / "tmp").symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        FilesystemStore(folder)


def test_a_pipe_in_place_of_an_object_holds_nobody(store: FilesystemStore) -> None:
    put(store, "originals/a")
    path = store.path("originals/a")
    assert path is not None
    path.unlink()
    os.mkfifo(path)
    assert store.stat("originals/a") is None
    with pytest.raises(Missing), store.open("originals/a"):
        pytest.fail("a pipe was opened")


def test_a_root_that_cannot_be_used_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        FilesystemStore(tmp_path / "file")


def test_a_root_that_vanished_is_unavailable_and_not_made_again(store: FilesystemStore, folder: Path) -> None:
    (folder / "tmp").rmdir()
    folder.rmdir()
    for action in (store.ping, lambda: put(store, "originals/a"), store.sweep):
        with pytest.raises(Unavailable):
            action()
    assert not folder.exists()


def test_a_folder_that_takes_no_byte_is_not_ready_until_it_does(folder: Path) -> None:
    output = run(
        """
        import resource, signal
        from app.domain.errors import Unavailable
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = FilesystemStore(folder)
        said = []
        for most in (0, resource.RLIM_INFINITY):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
            try:
                said.append(store.ping())
            except Unavailable as error:
                said.append(str(error))
        print(said)
        """,
        folder,
    )
    assert output == "['The data folder failed: File too large.', None]\n"
    assert files(folder) == []


def test_a_file_too_large_for_the_process_leaves_nothing(folder: Path) -> None:
    output = run(
        """
        import resource, signal
        from app.domain.errors import Unavailable
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        store = FilesystemStore(folder)
        for write in (store.create, store.put):
            try:
                write("originals/a", io.BytesIO(b"x" * 300_000), size=300_000, content_type="image/jpeg")
            except Unavailable as error:
                print(error)
        print(store.stat("originals/a"))
        write("originals/b", io.BytesIO(b"x" * 90_000), size=90_000, content_type="image/jpeg")
        """,
        folder,
    )
    assert output.splitlines() == ["The data folder failed: File too large."] * 2 + ["None"]
    assert [path.name for path in files(folder)] == ["b"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("call", ["write", "fsync", "link"])
def test_a_full_disk_leaves_nothing(
    store: FilesystemStore, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    class Body(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            full()
            return b""

    if call != "write":
        monkeypatch.setattr(os, call, full)
    body = Body(b"x" * 100) if call == "write" else io.BytesIO(b"x" * 100)
    with pytest.raises(Unavailable, match="No space left"):
        store.create("originals/a", body, size=100, content_type="image/jpeg")
    monkeypatch.undo()
    assert files(folder) == []
    put(store, "originals/a")
    assert store.stat("originals/a") is not None


def test_a_folder_that_cannot_be_made_durable_takes_the_object_back(
    store: FilesystemStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    store = FilesystemStore(folder, on_created=lambda key, size: told.append(key))
    fsync = os.fsync
    calls: list[int] = []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Unavailable):
        put(store, "originals/a")
    assert files(folder) == []
    assert told == []


def test_a_folder_removed_under_a_writer_is_made_again(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link
    calls: list[Path] = []

    def late(source: Path, target: Path, **options: bool) -> None:
        calls.append(target)
        if len(calls) == 1:
            target.parent.rmdir()
        link(source, target, **options)

    monkeypatch.setattr(os, "link", late)
    put(store, "processed/a/r/b.webp")
    assert len(calls) == 2
    assert store.stat("processed/a/r/b.webp") is not None


def test_a_body_that_breaks_off_leaves_nothing(store: FilesystemStore, folder: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise RuntimeError("the client went away")

    with pytest.raises(RuntimeError, match="went away"):
        store.create("originals/a", Broken(), size=100, content_type="image/jpeg")
    assert files(folder) == []


def test_a_process_killed_while_it_writes_leaves_no_object_and_its_rest_is_swept(folder: Path) -> None:
    store = FilesystemStore(folder)
    run(
        """
        class Body(io.BytesIO):
            def read(self, size=-1):
                if self.tell() > 2_000_000:
                    os.kill(os.getpid(), 9)
                return super().read(size)

        FilesystemStore(folder).create("originals/a", Body(b"x" * 9_000_000), size=9_000_000, content_type="image/jpeg")
        """,
        folder,
    )
    (rest,) = files(folder)
    assert rest.parent == folder / "tmp"
    assert store.stat("originals/a") is None
    assert store.sweep() == 0
    hour_ago = time.time() - 3601
    os.utime(rest, (hour_ago, hour_ago))
    assert store.sweep() == 1
    assert files(folder) == []


@pytest.mark.parametrize(("ahead", "removed"), [(1800, 0), (30 * 86_400, 1)])
def test_files_left_before_the_clock_was_set_back_are_swept(folder: Path, ahead: int, removed: int) -> None:
    store = FilesystemStore(folder)
    rest = folder / "tmp" / "rest"
    rest.write_bytes(b"x")
    then = time.time() + ahead
    os.utime(rest, (then, then))
    assert store.sweep() == removed
    assert rest.exists() is not bool(removed)


def test_only_created_originals_are_told_of_and_only_once(folder: Path) -> None:
    told: list[tuple[str, int]] = []
    store = FilesystemStore(folder, on_created=lambda key, size: told.append((key, size)))
    key = original_key(new_id())
    put(store, key, b"12345")
    with pytest.raises(AlreadyExists):
        put(store, key)
    put(store, variant_key(new_id(), "r", "thumb.webp"))
    store.copy(key, variant_key(new_id(), "r", "thumb.webp", public=True))
    with pytest.raises(Unavailable):
        store.create("originals/b", io.BytesIO(b"x"), size=2, content_type="image/jpeg")
    assert told == [(key, 5)]


def test_a_failing_notification_undoes_nothing_and_is_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(key: str, size: int) -> None:
        raise Unavailable("the queue is locked")

    store = FilesystemStore(folder, on_created=fail)
    put(store, "originals/a")
    assert store.stat("originals/a") is not None
    assert "reconcile will" in caplog.text


def test_a_listing_warns_of_what_is_neither_file_nor_folder_alone(
    folder: Path, store: FilesystemStore, caplog: pytest.LogCaptureFixture
) -> None:
    image_id = new_id()
    put(store, original_key(image_id))
    variant = variant_key(image_id, "r", "thumb.webp")
    put(store, variant)
    assert [info.key for prefix in ("originals/", "processed/") for info in store.list(prefix)] == [
        original_key(image_id), variant,
    ]  # fmt: skip
    assert caplog.text == ""
    (folder / "processed" / "_").mkdir()
    (folder / "processed" / "_" / "link").symlink_to(folder / "originals")
    assert [info.key for info in store.list("processed/")] == [variant]
    assert caplog.text.count("is not a regular file") == 1


def test_processes_that_create_one_key_at_once_have_one_winner(folder: Path) -> None:
    program = textwrap.dedent(
        f"""
        import io, sys, time
        from pathlib import Path
        from app.adapters.filesystem import FilesystemStore
        from app.domain.errors import AlreadyExists
        store = FilesystemStore(Path({str(folder)!r}))
        print("ready", flush=True)
        sys.stdin.readline()
        won = 0
        for number in range(40):
            try:
                store.create(f"originals/{{number}}", io.BytesIO(b"x"), size=1, content_type="image/jpeg")
                won += 1
            except AlreadyExists:
                pass
        print(won)
        """
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("\n")
        racer.stdin.flush()
    assert sum(int(racer.communicate(timeout=120)[0]) for racer in racers) == 40
    assert len(files(folder)) == 40


def store_spooled(store: FilesystemStore, key: str) -> bool:
    """Store bytes from a spool. Return True if the object is the file of the spool."""
    with store.spool() as body:
        body.write(b"bytes")
        body.seek(0)
        store.create(key, body, size=5, content_type="image/jpeg")
        path = store.path(key)
        assert path is not None
        assert path.read_bytes() == b"bytes"
        assert path.stat().st_mode & 0o777 == 0o600
        return os.path.samestat(os.fstat(body.fileno()), path.stat())


def test_a_spool_becomes_the_object_without_being_copied(store: FilesystemStore, folder: Path) -> None:
    assert store_spooled(store, "originals/a")
    assert [path.name for path in files(folder)] == ["a"]


@pytest.mark.parametrize("missing", ["files without a name", "links of open files"])
def test_a_spool_that_cannot_become_the_object_is_copied(
    store: FilesystemStore, folder: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "files without a name":
        monkeypatch.setattr(spool, "_TMPFILE", 0)
    else:
        monkeypatch.setattr(spool, "_OWN_FILES", str(folder / "no proc"))
    assert not store_spooled(store, "originals/a")
    assert [path.name for path in files(folder)] == ["a"]


def test_an_object_is_shared_as_a_link(store: FilesystemStore, tmp_path: Path) -> None:
    key = original_key(new_id())
    put(store, key)
    path = store.path(key)
    assert path is not None
    assert store.share(key, tmp_path / "shared")
    assert (tmp_path / "shared").samefile(path)
    assert not store.share(key, tmp_path / "shared"), "the name is taken"


@pytest.mark.skipif(way_to_mount() is None, reason="this system lets this user mount no disk")
def test_an_object_is_not_shared_with_another_disk(store: FilesystemStore, tmp_path: Path) -> None:
    key = original_key(new_id())
    put(store, key)
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", 1) as disk:
        assert not store.share(key, disk.outside / "shared")
        assert not (disk.outside / "shared").exists()


@pytest.mark.parametrize("kind", ["symbolic link", "folder"])
def test_only_regular_files_are_shared(store: FilesystemStore, tmp_path: Path, kind: str) -> None:
    key = original_key(new_id())
    put(store, key)
    path = store.path(key)
    assert path is not None
    path.unlink()
    (tmp_path / "secret").write_bytes(b"secret")
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "secret")
    with pytest.raises(Missing):
        store.share(key, tmp_path / "shared")
    assert not (tmp_path / "shared").exists()
