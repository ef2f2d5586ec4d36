"""Starting: what the data folder gets, and what stops the start with one clear sentence."""

import errno
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app import logs
from app.bootstrap import build_signer, open_backends
from app.bootstrap_api import build_api
from app.domain.errors import ConfigurationError
from app.settings import Settings, load
from tests.contract.records import stored
from tests.log_lines import logging_restored
from tests.running_server import serving, wait_for
from tests.sides import self_hosted


def settings_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{folder}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{folder}/darkroom.db")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load()


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path / "data", monkeypatch)
    open_backends(settings)
    signature = build_signer(settings).sign("test", "text")
    secret = tmp_path / "data" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_text()) == 64
    open_backends(settings)
    assert build_signer(settings).sign("test", "text") == signature
    assert [path.name for path in secret.parent.glob("secret*")] == ["secret"]


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_secret_that_cannot_be_stored_stops_the_start_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    settings = settings_in(tmp_path / "data", monkeypatch)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(ConfigurationError, match="No space left"):
            open_backends(settings)
    assert list((tmp_path / "data").glob("secret*")) == []
    open_backends(settings)
    assert (tmp_path / "data" / "secret").exists()


def test_other_users_cannot_read_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_backends(settings_in(tmp_path / "data", monkeypatch)).images.ping()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    for file in (tmp_path / "data").glob("darkroom.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_secret_that_is_set_is_used_and_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path / "data", monkeypatch, DARKROOM_SECRET="0123456789abcdef")
    open_backends(settings)
    assert not (tmp_path / "data" / "secret").exists()


def test_a_renamed_secret_still_verifies_what_it_has_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path, monkeypatch)
    before = build_signer(settings).sign("test", "text")
    (tmp_path / "secret").rename(tmp_path / "secret.previous")
    rotated = build_signer(settings)
    assert rotated.sign("test", "text") != before
    assert rotated.verify("test", "text", before)
    (tmp_path / "secret.previous").unlink()
    assert not build_signer(settings).verify("test", "text", before)
    (tmp_path / "secret.previous").write_text("short")
    with pytest.raises(ConfigurationError, match=r"secret\.previous holds no secret"):
        build_signer(settings)


def test_the_previous_secret_of_the_settings_still_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = "the secret that signed before", "the secret that signs from now on"
    before = build_signer(settings_in(tmp_path, monkeypatch, DARKROOM_SECRET=old)).sign("test", "text")
    rotated = settings_in(tmp_path, monkeypatch, DARKROOM_SECRET=new, DARKROOM_PREVIOUS_SECRET=old)
    assert build_signer(rotated).verify("test", "text", before)
    assert build_signer(rotated).key_id != before.partition(".")[0]


def test_a_damaged_secret_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("short")
    with pytest.raises(ConfigurationError, match="holds no secret"):
        open_backends(settings_in(tmp_path, monkeypatch))


def test_a_new_database_is_refused_over_existing_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "originals" / "ab" / "a-picture"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"bytes")
    with pytest.raises(ConfigurationError, match=r"darkroom\.db is missing"):
        open_backends(settings_in(tmp_path, monkeypatch))
    assert not (tmp_path / "darkroom.db").exists()


def test_a_server_that_has_no_key_yet_says_how_to_create_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DARKROOM_AUTH", "required")
    settings = settings_in(tmp_path, monkeypatch)
    built = build_api(settings, same_site_only=False)
    assert "darkroom key create" in caplog.text
    caplog.clear()
    built.state.services.key_admin.create(name="first", owner="ann", scopes=["admin"])
    build_api(settings, same_site_only=False)
    assert caplog.text == ""


@pytest.mark.parametrize("module", ["app.main", "app.embedded_worker"])
def test_nonsense_stops_the_process_with_a_sentence(tmp_path: Path, module: str) -> None:
    environment = {**os.environ, "DARKROOM_MAX_PIXELS": "0", "DARKROOM_TYPO": "x"}
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "DARKROOM_MAX_PIXELS" in ended.stderr
    assert "DARKROOM_TYPO: unknown setting" in ended.stderr


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError, match="DARKROOM_STORAGE_URL"):
        open_backends(settings_in(tmp_path / "file", monkeypatch))


def test_a_log_line_is_one_json_object_with_its_extras(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_restored():
        logs.configure("INFO", "a-laptop")
        logging.getLogger("app.worker.process").info("developed", extra={"image": "an-id", "bytes": 12})
        logging.getLogger("app.worker.process").debug("not at this level")
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["name"], said["message"]) == ("INFO", "app.worker.process", "developed")
    assert (said["image"], said["bytes"], said["service"]) == ("an-id", 12, "a-laptop")


@pytest.mark.slow
def test_without_keys_the_server_answers_to_its_own_pages_and_names_only(tmp_path: Path) -> None:
    foreign = {"Origin": "https://evil.example"}
    with serving(tmp_path / "open") as server:
        answer = server.client.post("/upload", headers=foreign)
        assert (answer.status_code, answer.json().get("code")) == (403, "foreign_origin")
        assert server.client.get("/images").status_code == 200
        answer = server.client.get("/images", headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json().get("code")) == (403, "foreign_host")


@pytest.mark.slow
def test_the_worker_empties_the_write_ahead_log_in_which_deleted_words_stay(tmp_path: Path) -> None:
    log = tmp_path / "data" / "darkroom.db-wal"
    with self_hosted(tmp_path / "data") as side:
        stored(side.images)
        assert log.stat().st_size > 0
        with serving(tmp_path / "data"):
            wait_for(lambda: log.stat().st_size == 0, 60)


@pytest.mark.slow
def test_a_server_answers_under_its_allowed_hosts(tmp_path: Path) -> None:
    wanted = {"content_type": "image/jpeg", "bytes": 3}
    with serving(tmp_path / "data", DARKROOM_ALLOWED_HOSTS="nas.local, .example.org") as server:
        for host in ("nas.local:8000", "img.example.org", f"127.0.0.1:{server.port}", "localhost"):
            ticket = server.client.post("/upload/direct", json=wanted, headers={"Host": host})
            assert ticket.json()["url"].startswith(f"http://{host}/files/originals/"), ticket.text
        for host in ("darkroom", "nas.local.evil.example"):
            refused = server.client.post("/upload/direct", json=wanted, headers={"Host": host})
            assert (refused.status_code, refused.json()["code"]) == (403, "foreign_host")
        sent = server.client.put(ticket.json()["url"].replace("http://localhost", server.url), content=b"\xff\xd8\xff",
                                 headers=ticket.json()["headers"])  # fmt: skip
        assert sent.status_code == 200, sent.text
