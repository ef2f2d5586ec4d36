"""`darkroom key`: keys of the store on both sides, and with a running server."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner, Result

from app.bootstrap import open_backends
from app.domain.access.key_cache import StoredKeys
from app.settings import load
from darkroom.cli.command import cli
from tests.running_server import serving, wait_for
from tests.transfer.installations import Installation, installation

#: Longest wait for a change. The cache is bounded by less, see `tests/domain/access`; a busy machine may take longer.
SECONDS = 120


@pytest.fixture(params=["self-hosted"])
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """The installation that the settings name."""
    with installation(request.param, tmp_path) as opened:
        settings = {"DARKROOM_AUTH": "required", "DARKROOM_SECRET": "0123456789abcdef"}
        with mock.patch.dict(os.environ, opened.environment | settings):
            yield opened


both_sides = pytest.mark.parametrize("installed", ["self-hosted", "moto"], indirect=True)


def key(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["key", *arguments])


def parsed(*arguments: str) -> dict[str, Any]:
    done = key(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@both_sides
def test_keys_are_created_listed_rotated_and_revoked(installed: Installation) -> None:
    made = parsed("create", "--owner", "ann", "--scope", "read", "--scope", "upload", "--name", "shop", "--days", "9")
    text = key("create", "--owner", "root", "--scope", "admin").stdout.strip()
    keys = StoredKeys(open_backends(load()).open_api().key_store)
    found, root = keys.find(made["key"]), keys.find(text)
    assert found
    assert root
    assert (found.id, found.name, found.owner, found.scopes) == (made["id"], "shop", "ann", ("upload", "read"))
    assert (root.name, root.owner, root.expires_at) == ("root", "root", None)
    lines = key("list").stdout.splitlines()
    assert lines[0] == f"{root.id}  root  admin  used {lines[0].split()[4]}  root"
    assert [json.loads(line)["id"] for line in key("list", "--json").stdout.splitlines()] == [root.id, found.id]
    rotated = parsed("rotate", found.id, "--grace-hours", "0")
    assert made["key"] not in str(rotated)
    keys.forget(found.id)
    assert (keys.find(made["key"]), keys.find(rotated["key"]) is not None) == (None, True)
    assert parsed("revoke", found.id) == {"id": found.id, "revoked": True}
    assert len(key("list").stdout.splitlines()) == 1
    for command in ("revoke", "rotate"):
        done = key(command, found.id)
        assert done.exit_code == 1
        assert done.stderr.splitlines()[2] == "try: darkroom key list"


@both_sides
def test_limits_of_a_key_are_set_changed_and_removed(installed: Installation) -> None:
    made = parsed("create", "--owner", "ann", "--scope", "read", "--rate-limit", "5", "--quota-images", "1000")
    assert (made["rate_limit"], made["quota_bytes"], made["quota_images"]) == (5, None, 1000)
    assert "  5 requests/s, 1,000 images  ann" in key("list").stdout
    changed = parsed("edit", made["id"], "--quota-bytes", "0", "--unset", "rate-limit", "--name", "shop")
    assert (changed["rate_limit"], changed["quota_bytes"], changed["quota_images"]) == (None, 0, 1000)
    assert changed["name"] == "shop"
    assert key("edit", made["id"], "--unset", "quota-bytes", "--unset", "quota-images").stdout == (
        f"{made['id']}  ann  the limits of the installation  shop\n"
    )
    done = key("edit", "0" * 20, "--rate-limit", "5")
    assert (done.exit_code, done.stderr.splitlines()[2]) == (1, "try: darkroom key list")
    for wrong in ((), ("--rate-limit", "0.01"), ("--unset", "scopes"), ("--name", " "),
                  ("--rate-limit", "5", "--unset", "rate-limit"), ("--quota-bytes", str(2**60))):  # fmt: skip
        done = key("edit", made["id"], *wrong)
        assert (done.exit_code, done.stdout) == (2, ""), wrong


def test_too_many_secrets_have_a_remedy(installed: Installation) -> None:
    made = parsed("create", "--owner", "ann", "--scope", "read")
    for _ in range(4):
        parsed("rotate", made["id"])
    done = key("rotate", made["id"])
    assert (done.exit_code, done.stderr.splitlines()[2]) == (1, "try: darkroom key rotate ID --grace-hours 0")


def test_a_whole_key_is_no_id_and_is_not_repeated(installed: Installation) -> None:
    made = parsed("create", "--owner", "ann", "--scope", "read")
    for command in ("revoke", "rotate"):
        done = key(command, made["key"])
        assert done.exit_code == 1
        assert made["key"][20:] not in done.stderr
    assert len(key("list").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--owner", "anonymous"),
        ("--owner", "a,b"),
        ("--owner", "ann", "--name", "x" * 101),
        ("--owner", "ann", "--days", "0"),
    ],
)
def test_wrong_values_are_a_wrong_call(installed: Installation, arguments: tuple[str, ...]) -> None:
    done = key("create", *arguments, "--scope", "read")
    assert (done.exit_code, done.stdout) == (2, "")
    assert key("list").stdout == ""


@pytest.mark.slow
def test_a_running_server_follows_without_a_restart(installed: Installation) -> None:
    with serving(installed.data, DARKROOM_AUTH="required") as server:
        made = parsed("create", "--owner", "ann", "--scope", "read")

        def is_valid(presented: str) -> bool:
            status = server.client.get("/images", headers={"X-API-Key": presented}).status_code
            assert status in {200, 401}
            return status == 200

        assert is_valid(made["key"])
        rotated = parsed("rotate", made["id"], "--grace-hours", "0")["key"]
        wait_for(lambda: is_valid(rotated), SECONDS)
        wait_for(lambda: not is_valid(made["key"]), SECONDS)
        parsed("revoke", made["id"])
        wait_for(lambda: not is_valid(rotated), SECONDS)
