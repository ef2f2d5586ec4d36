"""`darkroom backup create`: contents, links, names, and refused targets."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from app.domain.keys import original_key
from app.domain.models import Visibility
from tests.contract.records import an_image
from tests.self_hosted.backup.installations import (
    backup,
    created,
    files,
    inodes,
    put,
    records,
    report,
    rewrite,
    store,
)
from tests.sides import Side


def test_it_restores_to_equal_records_and_bytes(data: Path, side: Side, target: Path, tmp_path: Path) -> None:
    store(side, b"private", title="A title", tags=["sea"])
    store(side, b"public", visibility=Visibility.PUBLIC)
    put(side, original_key(an_image().id), b"an orphan is not named by a record")
    pending = an_image()
    side.images.create(pending, claim=False)  # its bytes are on their way
    made = created(target)
    restored = tmp_path / "restored"
    done = backup("restore", target, "--into", restored)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{made.name}: 3 images, 4 files (")
    assert records(restored) == records(data)
    named = {path: body for path, body in files(data).items() if not body.startswith(b"an orphan")}
    assert files(restored) == files(made) == named
    assert (restored / "secret").read_text() == "0123456789abcdef"
    assert [path for path in (*target.rglob("*"), *restored.rglob("*")) if path.stat().st_mode & 0o077] == []


def test_a_second_backup_links_to_the_first_and_never_to_live_files(data: Path, side: Side, target: Path) -> None:
    store(side, b"one")
    first = created(target)
    store(side, b"two")
    done = report(backup("create", target, "--json"))
    second = target / done["name"]
    assert (done["images"], done["files"], done["copied"], done["linked"]) == (2, 4, 2, 2)
    before, after = inodes(first), inodes(second)
    assert {name: after[name] for name in before} == before
    assert not set(inodes(data).values()) & set(after.values())
    assert [path.name for path in sorted(target.iterdir())] == [".darkroom-backups", first.name, second.name]


def test_a_live_file_that_is_damaged_later_leaves_backups_as_they_are(data: Path, side: Side, target: Path) -> None:
    image = store(side, b"good bytes")
    created(target)
    path = next((data / "originals").rglob(image.id))
    path.write_bytes(b"bad! bytes")
    done = backup("create", target, "--json")
    assert (done.exit_code, report(done)["rescued"], report(done)["damaged"]) == (1, [original_key(image.id)], [])
    assert "damaged in the data folder, copied from the previous backup" in done.stderr
    for made in sorted(target.glob("2*")):
        assert files(made)[str(path.relative_to(data))] == b"good bytes"
        assert backup("verify", made).exit_code == 0


def test_damage_that_keeps_size_and_time_is_not_copied(data: Path, side: Side, target: Path) -> None:
    image = store(side, b"good bytes")
    created(target)
    path = next((data / "originals").rglob(image.id))
    rewrite(path, b"bad! bytes")
    assert files(created(target))[str(path.relative_to(data))] == b"good bytes"


def test_files_that_are_lost_or_damaged_are_named(data: Path, side: Side, target: Path) -> None:
    lost, damaged = store(side, b"lost"), store(side, b"damaged")
    next((data / "originals").rglob(lost.id)).unlink()
    next((data / "originals").rglob(damaged.id)).write_bytes(b"other!!")
    done = backup("create", target, "--json")
    assert done.exit_code == 1
    assert report(done)["missing"] == [original_key(lost.id)]
    assert report(done)["damaged"] == [original_key(damaged.id)]
    checked = backup("verify", target)
    assert checked.exit_code == 1
    assert f"{original_key(lost.id)}: missing\n" in checked.stderr
    assert f"{original_key(damaged.id)}: other bytes than its SHA-256 says\n" in checked.stderr


def test_a_lost_file_is_copied_from_the_previous_backup(data: Path, side: Side, target: Path) -> None:
    image = store(side, b"lost")
    created(target)
    next((data / "originals").rglob(image.id)).unlink()
    done = backup("create", target, "--json")
    assert (done.exit_code, report(done)["rescued"], report(done)["missing"]) == (1, [original_key(image.id)], [])
    assert backup("verify", target).exit_code == 0


def test_an_image_deleted_since_the_previous_backup_is_not_in_the_next(side: Side, target: Path) -> None:
    kept, gone = store(side, b"kept"), store(side, b"gone")
    first = created(target)
    side.deletion.delete(None, gone.id)
    second = created(target)
    assert any(gone.id in name for name in files(first))
    assert all(kept.id in name for name in files(second))


def test_old_backups_are_removed_after_the_new_one_is_complete(side: Side, target: Path) -> None:
    store(side, b"one")
    first, second = created(target), created(target)
    third = created(target, "--keep", "2")
    assert first.name < second.name < third.name  # within one second
    assert sorted(path.name for path in target.glob("[!.]*")) == [second.name, third.name]
    assert backup("verify", second).exit_code == 0
    done = backup("create", target, "--keep", "1")
    assert done.stdout.endswith("2 old backups removed\n")
    assert backup("create", target, "--keep", "0").exit_code == 2


def test_leftovers_of_a_killed_run_are_no_backup_and_go(side: Side, target: Path) -> None:
    store(side, b"one")
    first = created(target)
    leftover = target / ".unfinished-2020-01-01T00-00-00Z"
    leftover.mkdir()
    (leftover / "darkroom.db").write_bytes(b"half")
    assert backup("verify", target).stdout.startswith(first.name)
    created(target)
    assert not leftover.exists()


def test_a_clock_that_was_set_back_keeps_the_order(side: Side, target: Path) -> None:
    store(side, b"one")
    future = target / "2999-01-01T00-00-00Z"
    created(target).rename(future)
    assert created(target).name == "2999-01-01T00-00-01Z"


def refused(target: Path) -> list[str]:
    done = backup("create", target)
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "cause", "try"]
    assert lines[0] == f"error: cannot back up to {target}"
    return lines


def test_targets_in_and_around_the_data_folder_are_refused(data: Path, side: Side, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(data)
    for target in (data, data / "backups", tmp_path, tmp_path / "link" / "x"):
        assert f"in the data folder {data}" in refused(target)[1]
    assert not (data / "backups").exists()


def test_a_folder_with_other_files_and_a_file_are_refused(side: Side, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"mine")
    assert refused(folder)[1] == "cause: it holds other files"
    assert [path.name for path in folder.iterdir()] == ["a.jpg"]
    assert "error: " in backup("create", folder / "a.jpg").stderr


def test_two_runs_at_once_are_refused(side: Side, target: Path) -> None:
    created(target)
    with (target / ".darkroom-backups").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refused(target)[1] == "cause: another backup to it is running"
    created(target)


def test_without_links_it_copies_and_says_so(side: Side, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(side, b"one")
    created(target)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    done = backup("create", target, "--json")
    assert (done.exit_code, report(done)["copied"], report(done)["linked"]) == (0, 2, 0)
    assert "refused hard links (operation not permitted)" in done.stderr
    assert backup("verify", target).exit_code == 0


def test_a_database_that_is_missing_and_aws_are_named(
    data: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = backup("create", target)
    assert (done.exit_code, done.stderr.splitlines()[1]) == (2, f"cause: database not found: {data}/darkroom.db")
    for name, value in {
        "STORAGE_URL": "s3://bucket", "DATABASE_URL": "dynamodb://table", "QUEUE_URL": "https://sqs.example/1/q",
        "SECRET": "0123456789abcdef",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"DARKROOM_{name}", value)
    done = backup("create", target)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: backups are for self-hosted installations\n")
    assert not target.exists()


def test_a_damaged_database_is_refused_and_earlier_backups_stay(data: Path, side: Side, target: Path) -> None:
    store(side, b"one")
    created(target)
    (data / "other.db").write_bytes(b"no database" * 1000)
    os.environ["DARKROOM_DATABASE_URL"] = f"sqlite:{data}/other.db"
    done = backup("create", target)
    assert done.exit_code == 2
    assert "it is damaged or not a database" in done.stderr
    assert len(list(target.iterdir())) == 2
    assert backup("verify", target).exit_code == 0


def test_reports_are_json(side: Side, target: Path) -> None:
    store(side, b"one")
    made = created(target)
    manifest = json.loads((made / "backup.json").read_text())
    assert (manifest["images"], manifest["files"], manifest["secrets"]) == (1, 2, ["secret"])
    checked = report(backup("verify", target, "--json"))
    assert checked == {"name": made.name, "images": 1, "files": 2, "bytes": manifest["bytes"], "problems": []}
