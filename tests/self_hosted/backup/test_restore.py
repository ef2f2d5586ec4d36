"""`darkroom backup restore` and `verify`: damaged backups, folders that are not empty, newer versions."""

import json
import shutil
from pathlib import Path

import pytest

from app.domain.keys import original_key
from app.domain.maintenance.backup.copying import copy_file
from tests.self_hosted.backup.installations import backup, created, files, records, report, rewrite, store
from tests.sides import Side


@pytest.fixture
def made(side: Side, target: Path) -> Path:
    """A backup of two images."""
    store(side, b"one")
    store(side, b"two")
    return created(target)


def refused(*arguments: str | Path) -> list[str]:
    done = backup(*arguments)
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "cause", "try"]
    return lines


@pytest.mark.parametrize("fault", ["bytes", "shorter", "gone"])
def test_every_fault_is_listed_and_the_rest_is_restored(made: Path, data: Path, tmp_path: Path, fault: str) -> None:
    originals, variants = sorted((made / "originals").rglob("*-*")), sorted((made / "processed").rglob("*.webp"))
    if fault == "bytes":
        rewrite(originals[0], b"eno")
    elif fault == "shorter":
        rewrite(originals[0], b"o")
        rewrite(variants[0], b"v")
    else:
        originals[0].unlink()
        variants[0].unlink()
    before = files(made)
    checked = backup("verify", made, "--json")
    problems = report(checked)["problems"]
    expected = {
        "bytes": [": other bytes than its SHA-256 says"],
        "shorter": [": 1 bytes instead of 3", ": 1 bytes instead of 9"],
        "gone": [": missing", ": missing"],
    }[fault]
    assert [problem[problem.index(": ") :] for problem in problems] == expected
    assert problems[0].startswith(original_key(originals[0].name))
    assert (checked.exit_code, checked.stderr.splitlines()) == (1, problems)
    done = backup("restore", made, "--into", tmp_path / "restored", "--json")
    assert (done.exit_code, report(done)["problems"]) == (1, problems)
    assert records(tmp_path / "restored") == records(data)
    assert files(tmp_path / "restored") == files(made) == before


@pytest.mark.parametrize("fault", ["bytes", "gone"])
def test_a_damaged_database_is_refused(made: Path, tmp_path: Path, fault: str) -> None:
    file = made / "darkroom.db"
    if fault == "gone":
        file.unlink()
    else:
        body = bytearray(file.read_bytes())
        body[-3000] ^= 1
        file.write_bytes(body)
    assert backup("verify", made).exit_code == 1
    lines = refused("restore", made, "--into", tmp_path / "restored")
    assert lines[0] == f"error: {made} is damaged"
    assert not (tmp_path / "restored").exists()


def test_verify_changes_nothing_and_needs_no_settings(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_STORAGE_URL", "nonsense:")
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    for path in made.rglob("*"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    done = backup("verify", made)
    assert (done.exit_code, done.stdout.startswith(f"{made.name}: 2 images, 4 files")) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_a_missing_secret_is_a_fault(made: Path) -> None:
    (made / "secret").unlink()
    assert backup("verify", made).stderr == "secret: missing\n"


def test_only_an_empty_folder_is_restored_into(made: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    assert refused("restore", made, "--into", folder)[1] == "cause: the folder is not empty"
    assert refused("restore", made)[0] == f"error: cannot restore to {data}"  # that of the settings
    assert [path.name for path in folder.iterdir()] == ["mine"]
    (folder / "mine").unlink()
    assert backup("restore", made, "--into", folder).exit_code == 0
    for inside in (made, made / "x", made.parent):
        assert "in the backup" in refused("restore", made, "--into", inside)[1]


def test_it_restores_to_the_places_of_the_settings(
    made: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{tmp_path}/files")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{tmp_path}/records/here.db")
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "here.db-wal").touch()
    assert "here.db-wal exists" in refused("restore", made)[1]
    (tmp_path / "records" / "here.db-wal").unlink()
    assert backup("restore", made).exit_code == 0
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["here.db"]
    assert files(tmp_path / "files") == files(data)


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"schema_version": 10_000}, "is of a newer version"), ({"format_version": 2}, "has another format")],
)
def test_a_backup_of_a_newer_version_is_refused(
    made: Path, tmp_path: Path, changes: dict[str, int], error: str
) -> None:
    manifest = json.loads((made / "backup.json").read_text())
    (made / "backup.json").write_text(json.dumps(manifest | changes))
    for command in (("verify", made), ("restore", made, "--into", tmp_path / "x")):
        assert refused(*command)[0] == f"error: {made} {error}"


def test_other_folders_are_no_backups(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in (folder, tmp_path / "absent"):
        refused("verify", name)
        refused("restore", name, "--into", tmp_path / "x")
    (folder / "backup.json").write_text('{"of": "another program"}')
    assert refused("verify", folder)[0] == f"error: {folder} is not a backup of Darkroom"
    shutil.copytree(made, tmp_path / "copied")  # as a backup that was brought back from another place
    assert backup("verify", tmp_path / "copied").exit_code == 0


def test_a_file_is_complete_when_it_has_the_time_of_its_source(tmp_path: Path) -> None:
    source, copied = tmp_path / "a", tmp_path / "b" / "c"
    source.write_bytes(b"bytes")
    assert copy_file(source, copied) is not None
    assert copied.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert copy_file(tmp_path / "absent", tmp_path / "d") is None
    with pytest.raises(FileExistsError):
        copy_file(source, copied)
