"""Folders that cannot be exported to or imported, and runs that are interrupted: a clear reason, and nothing lost."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.ids import new_id
from app.domain.maintenance.transfer.manifest import MANIFEST
from app.domain.models import Image, Status, Visibility
from tests.running_server import wait_for
from tests.small_disk import small_disk, way_to_mount
from tests.transfer.installations import Installation, installation, place, populate, state, stored

COMMAND = [sys.executable, "-m", "darkroom"]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Installation]:
    with installation("self-hosted", tmp_path / "source") as opened:
        yield opened


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Installation]:
    with installation("self-hosted", tmp_path / "target") as opened:
        yield opened


@pytest.fixture
def folder(source: Installation, tmp_path: Path) -> Path:
    """An export of two images."""
    for seed in (1, 2):
        place(source.side, seed, renderings=("aa11",), status=Status.READY)
    source.report("export", tmp_path / "export")
    return tmp_path / "export"


def lines(folder: Path) -> list[dict[str, Any]]:
    """The records of an export."""
    (file,) = folder.glob("records-*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def rewrite(folder: Path, records: list[str]) -> None:
    """Replace the records of an export, as a forger would, who corrects the manifest too."""
    (file,) = folder.glob("records-*.jsonl")
    text = "".join(f"{line}\n" for line in records).encode()
    file.write_bytes(text)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["records"] |= {"bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def refused(installation: Installation, *arguments: str | Path, code: int = 1, **settings: str) -> str:
    """Run a command that fails; its cause."""
    done = installation.run(*arguments, **settings)
    assert done.exit_code == code, done.stderr
    error, cause, remedy = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert remedy.startswith("try: ")
    return cause.removeprefix("cause: ")


def test_targets_that_cannot_be_written(source: Installation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("")
    assert refused(source, "export", tmp_path / "file") == "a file is in the way"
    assert refused(source, "export", tmp_path / "file" / "below") == "not a directory"
    assert refused(source, "export", tmp_path / "photos") == "it holds other files"
    assert "data folder" in refused(source, "export", source.data / "export")
    assert "data folder" in refused(source, "export", source.data.parent)
    assert "data folder" in refused(source, "import", source.data)
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["a.jpg"]
    assert not (source.data / "export").exists()


def test_a_folder_that_may_not_be_written(
    source: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "export")
    assert refused(source, "export", tmp_path / "export", code=4) == "permission denied"


def test_a_store_without_space_ends_an_import(target: Installation, folder: Path) -> None:
    cause = refused(target, "import", folder, DARKROOM_MIN_FREE_MB=str(2**40))
    assert cause == "The disk is full, except for the reserve."
    assert target.side.objects() == set()
    assert target.report("import", folder)["restored"] == 2


def test_a_folder_that_cannot_be_made(source: Installation) -> None:
    assert refused(source, "export", Path("/proc/export")) == "no such file or directory"


def test_the_export_of_another_store_is_not_written_over(folder: Path, target: Installation) -> None:
    before = (folder / MANIFEST).read_text()
    assert f"not of file:{target.data}" in refused(target, "export", folder)
    assert (folder / MANIFEST).read_text() == before


def test_folders_that_are_no_export(target: Installation, folder: Path, tmp_path: Path) -> None:
    assert refused(target, "import", tmp_path / "nowhere") == "no such file or directory"
    manifest = json.loads((folder / MANIFEST).read_text())
    for text in ("", "[]", '{"format": "other"}', "x" * 100_000):
        (folder / MANIFEST).write_text(text)
        assert refused(target, "import", folder) == f"its {MANIFEST} is not that of an export"
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format_version": 2, "darkroom": "9.0.0"}))
    assert "format version 2 (known: 1), written by Darkroom 9.0.0" in refused(target, "import", folder)
    assert "format version 2" in refused(target, "export", folder)
    (folder / MANIFEST).write_text(json.dumps(manifest | {"records": manifest["records"] | {"name": "../x"}}))
    assert refused(target, "import", folder) == f"its {MANIFEST} is not that of an export"
    (folder / MANIFEST).unlink()
    assert refused(target, "import", folder) == f"an export without its {MANIFEST}"
    assert target.side.objects() == set()


def test_nothing_is_created_before_the_folder_is_known(source: Installation, folder: Path, tmp_path: Path) -> None:
    settings = {
        "DARKROOM_STORAGE_URL": f"file:{tmp_path}/new", "DARKROOM_DATABASE_URL": f"sqlite:{tmp_path}/new/darkroom.db"
    }  # fmt: skip
    refused(source, "import", tmp_path / "nowhere", **settings)
    refused(source, "import", source.data, **settings)
    assert source.run("import", folder, "--owner", "ann", **settings).exit_code == 2
    assert not (tmp_path / "new").exists()
    assert source.report("import", folder, **settings)["restored"] == 2
    assert (tmp_path / "new" / "darkroom.db").exists()


def test_exports_that_are_cut_or_unfinished(target: Installation, folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (file,) = folder.glob("records-*.jsonl")
    text = file.read_bytes()
    file.write_bytes(text[:-10])
    assert f"differs from the manifest: {len(text) - 10:,} of {len(text):,} bytes" in refused(target, "import", folder)
    file.write_bytes(text[:-1] + b" ")
    assert "differs from the manifest" in refused(target, "import", folder)
    file.unlink()
    assert refused(target, "import", folder) == f"{file.name}: no such file or directory"
    (folder / MANIFEST).write_text(json.dumps(manifest | {"records": None}))
    assert refused(target, "import", folder) == "its export has not finished"
    assert target.side.objects() == set()


@pytest.mark.parametrize(
    "change",
    [
        {"image": {"id": "../../../etc/passwd"}},
        {"image": {"owner": "../owner"}},
        {"image": {"rendering_id": "../aa11"}},
        {"image": {"superseded": {"public/../../x": "2026-01-01T00:00:00Z"}}},
        {"image": {"variants": [{"name": "a", "format": "webp", "width": 1, "height": 1, "bytes": 1, "file": "../a"}]}},
        {"variants": [{"rendering": "..", "file": "a", "bytes": 1, "sha256": "0" * 64}]},
        {"variants": [{"rendering": "aa11", "file": "../../a", "bytes": 1, "sha256": "0" * 64}]},
        {"original": {"bytes": -1, "sha256": "0" * 64}},
        {"original": {"bytes": 1, "sha256": "x"}},
    ],
)
def test_names_in_a_record_cannot_leave_the_folder(target: Installation, folder: Path, change: dict[str, Any]) -> None:
    first, second = lines(folder)
    for name, value in change.items():
        first[name] = first[name] | value if isinstance(value, dict) and name == "image" else value
    rewrite(folder, [json.dumps(first), "no json", json.dumps(second)])
    done = target.run("import", folder)
    assert done.exit_code == 1
    assert "line 1: not a record of an export" in done.stderr
    assert "line 2: not a record of an export" in done.stderr
    assert "3 images: 1 new" in done.stdout
    assert all(second["image"]["id"] in key for key in target.side.objects())


def test_links_in_an_export_are_not_followed(target: Installation, folder: Path, tmp_path: Path) -> None:
    first, second = (line["image"]["id"] for line in lines(folder))
    original = next(folder.glob(f"originals/*/{first}"))
    secret = tmp_path / "secret"
    original.rename(secret)
    original.symlink_to(secret)
    place_of_second = next(folder.glob(f"originals/*/{second}")).parent
    place_of_second.rename(tmp_path / "elsewhere")
    place_of_second.symlink_to(tmp_path / "elsewhere")
    done = target.run("import", folder)
    assert done.exit_code == 1
    assert "2 refused" in done.stdout
    assert not [key for key in target.side.objects() if key.startswith("originals/")]


def test_an_export_has_no_fields_to_set(target: Installation, folder: Path) -> None:
    done = target.run("import", folder, "--owner", "ann")
    assert done.exit_code == 2
    assert "an export has the owner" in done.stderr


def test_one_run_at_a_time_writes_to_a_folder(source: Installation, target: Installation, folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # as an import does
        assert refused(source, "export", folder) == "another export or import runs"
        assert target.report("import", folder)["restored"] == 2
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # as an export does
        assert refused(target, "import", folder) == "another export or import runs"
    finally:
        os.close(descriptor)


@pytest.mark.slow
def test_two_imports_at_once_store_every_image_once(source: Installation, target: Installation, tmp_path: Path) -> None:
    images = populate(source.side)
    source.report("export", tmp_path / "export")
    command = [*COMMAND, "import", str(tmp_path / "export"), "--json"]
    runs = [
        subprocess.Popen(command, env=os.environ | target.environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    reports = [json.loads(run.communicate(timeout=120)[0]) for run in runs]
    assert sum(report["restored"] for report in reports) == len(images)
    assert [report["refused"] for report in reports] == [0, 0]
    assert state(target.side, images) == state(source.side, images)


@pytest.mark.skipif(way_to_mount() is None, reason="no disk can be mounted")
@pytest.mark.slow
def test_a_full_disk_keeps_the_earlier_export(source: Installation, tmp_path: Path) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    place(source.side, 1, renderings=("aa11",), status=Status.READY)
    with small_disk(mount, 2) as disk:
        command = [*disk.prefix, *COMMAND, "export", str(mount / "export")]

        def export() -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                command, env=os.environ | source.environment, capture_output=True, text=True, timeout=60, check=False
            )

        assert export().returncode == 0
        before = (disk.outside / "export" / MANIFEST).read_text()
        place(source.side, 2, renderings=("aa11",), status=Status.READY)
        disk.fill()
        done = export()
        assert done.returncode == 1
        assert done.stderr.splitlines()[1:] == [
            "cause: no space left on device", "try: free space on its disk, then run the command again; it continues"
        ]  # fmt: skip
        assert (disk.outside / "export" / MANIFEST).read_text() == before
        disk.clear()
        done = export()
        assert (done.returncode, done.stdout.partition(" (")[0]) == (0, "2 images: 3 files written")


@pytest.mark.parametrize("command", ["export", "import"])
@pytest.mark.slow
def test_an_interrupted_run_is_continued(
    source: Installation, target: Installation, tmp_path: Path, command: str
) -> None:
    for seed in range(120):
        place(source.side, seed, renderings=("aa11", "bb22"), status=Status.READY)
    folder = tmp_path / "export"
    run, watched = source, folder / "originals"
    if command == "import":
        source.report("export", folder)
        run, watched = target, target.data / "originals"
    released = tmp_path / "released"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.slow_darkroom", command, str(folder)],
        env=os.environ | run.environment | {"RELEASED": str(released)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    wait_for(lambda: sum(1 for _ in watched.glob("*/*")) > 3, 60)
    process.send_signal(signal.SIGINT)
    released.touch()
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode == 130, (out, err)
    assert err.endswith("Interrupted. Run the command again to continue.\n")
    if command == "export":
        assert refused(target, "import", folder) == "its export has not finished"
        assert source.report("export", folder)["unchanged"] > 0
        assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == [
            "manifest.json", "originals", "records", "variants"
        ]  # fmt: skip
    assert target.report("import", folder)["refused"] == 0
    assert stored(target.side) == stored(source.side)


@pytest.mark.slow
def test_a_broken_pipe_is_no_traceback(source: Installation, tmp_path: Path) -> None:
    place(source.side, 1)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "export", str(tmp_path / "export")], env=os.environ | source.environment, stdout=write,
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
    assert (tmp_path / "export" / MANIFEST).exists()


@pytest.mark.slow
def test_an_export_during_uploads_and_deletes_is_consistent(source: Installation, tmp_path: Path) -> None:
    """Each record of the export has the files that it names, though images change and vanish meanwhile."""
    kept = [place(source.side, seed, renderings=("aa11",), status=Status.READY) for seed in range(30)]
    ended = threading.Event()

    def disturb() -> None:
        seed = 100
        while not ended.is_set():
            for image in kept[::3]:
                visibility = Visibility.PUBLIC if seed % 2 else Visibility.PRIVATE
                source.side.editor.change(None, image.id, lambda _, to=visibility: {"visibility": to})
            other = place(source.side, seed, renderings=("aa11",), owner="bob", status=Status.READY)
            source.side.deletion.delete("bob", other.id)
            seed += 1

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        report = source.report("export", tmp_path / "export")
    finally:
        ended.set()
        thread.join()
    assert report["failed"] == report["originals_missing"] == report["variants_missing"] == 0
    with installation("self-hosted", tmp_path / f"target-{new_id()}") as target:
        assert target.report("import", tmp_path / "export")["refused"] == 0
        keys = target.side.objects()
        for line in lines(tmp_path / "export"):
            image = target.side.images.get(line["image"]["id"])
            assert isinstance(image, Image)
            prefix = f"processed/{'public/' if image.placed == 'public' else ''}{image.id}/aa11/"
            assert {f"{prefix}w32.webp", f"{prefix}w16.jpg", f"originals/{image.id}"} <= keys
        assert {image.id for image in kept} <= {key.rpartition("/")[2] for key in keys}
