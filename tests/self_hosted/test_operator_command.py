"""Operator commands with wrong arguments or settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import __version__
from darkroom.cli.command import cli, main

COMMAND = [sys.executable, "-m", "darkroom"]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings name a data folder that is not there."""
    folder = tmp_path / "nowhere"
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{folder}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{folder}/darkroom.db")
    return folder


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Run the console script; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["darkroom", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.mark.parametrize(
    "command", ["reconcile", "redrive", "migrate", "reprocess --all", "owner delete ann", "export x"]
)
def test_a_folder_that_is_not_there_is_named_and_not_made(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert ended(monkeypatch, *command.split()) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: the settings cannot be used",
        f"cause: DARKROOM_STORAGE_URL: folder not found: {nowhere}. `darkroom serve` creates it at its first start.",
        "try: correct these variables (docs/settings.md)",
    ]
    assert not nowhere.exists()


def test_a_store_that_refuses_is_reported_with_its_reason_and_without_a_traceback() -> None:
    nobody = "http://127.0.0.1:1"
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": nobody, "DARKROOM_QUEUE_URL": f"{nobody}/queue", "DARKROOM_SECRET": "0123456789abcdef",
        "DARKROOM_STORAGE_URL": "s3://bucket", "DARKROOM_DATABASE_URL": "dynamodb://table",
    }  # fmt: skip
    command = [*COMMAND, "redrive"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-3:] == [
        "error: a store refused or did not answer",
        "cause: The queue cannot be reached.",
        "try: check its address and its service, then run the command again",
    ]
    assert f'Could not connect to the endpoint URL: "{nobody}/' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_worker_whose_folder_cannot_be_made_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{tmp_path}/file")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{tmp_path}/file/darkroom.db")
    command = [*COMMAND, "worker"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert f"DARKROOM_STORAGE_URL: cannot use {tmp_path}/file: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("owner", ["a:b", "a:read:0", "a,b", "", "anonymous"])
def test_an_owner_that_cannot_be_one_is_refused_as_that(owner: str) -> None:
    done = CliRunner().invoke(cli, ["key", "create", "--owner", owner, "--scope", "read"])
    assert done.exit_code == 2
    assert "is not a valid owner" in done.stderr


def test_minutes_beyond_reason_are_a_wrong_call() -> None:
    done = CliRunner().invoke(cli, ["reconcile", "--requeue-minutes", "99999999999999"])
    assert done.exit_code == 2


def test_it_tells_its_version() -> None:
    done = CliRunner().invoke(cli, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"darkroom {__version__}\n")
