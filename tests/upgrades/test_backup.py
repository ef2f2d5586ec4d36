"""Backups of a folder of 0.1.0: made without migrating it, and restored to either version."""

import base64
import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.domain.models import Image
from darkroom.cli.command import cli
from tests.sides import self_hosted
from tests.upgrades.test_older_data import FOLDER, LIVE, write_folder


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, ["backup", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


def dump(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["self_hosted", "schema_3"])
def test_a_folder_of_an_older_version_is_restored_and_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data, target, restored = tmp_path / "data", tmp_path / "backups", tmp_path / "restored"
    data.mkdir()
    left = json.loads((FOLDER / f"{name}.json").read_text())
    objects = {key: base64.b64decode(content) for key, content in left["objects"].items()}
    write_folder(data, (FOLDER / f"{name}.sql").read_text(), objects)
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{data}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{data}/darkroom.db")
    before = dump(data / "darkroom.db")
    run("create", target)
    run("verify", target)
    run("restore", target, "--into", restored)
    # The server of that version finds its own database.
    assert dump(data / "darkroom.db") == dump(restored / "darkroom.db") == before
    with self_hosted(restored) as side:  # this version migrates it
        for record in (left["records"][each] for each in LIVE if each in left["records"]):
            image = side.images.get(record["id"])
            assert isinstance(image, Image)
            assert image.sha256 == record["sha256"]
            kept = {key for key in objects if record["id"] in key}
            found = {key for key in side.objects() if record["id"] in key}
            assert len(found) <= len(kept)
            assert {f"originals/{image.id}"} <= found
            variants = {f"processed/{image.id}/{image.rendering_id}/{each.file}" for each in image.variants}
            assert variants <= found
    # After the upgrade, a backup holds the new schema.
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{restored}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{restored}/darkroom.db")
    assert json.loads(run("create", target, "--json"))["linked"] > 0
    run("verify", target)
