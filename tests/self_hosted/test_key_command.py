"""`darkroom key entry`: keys of the settings."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.domain.access.api_keys import parse_keys
from app.domain.access.keyring import Keyring
from darkroom.cli.command import cli


@pytest.fixture(autouse=True)
def _keys_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_AUTH", "required")


def key(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["key", "entry", *arguments])


def create(owner: str, *scopes: str) -> dict[str, Any]:
    done = key("create", "--owner", owner, *(part for scope in scopes for part in ("--scope", scope)), "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    created: dict[str, Any] = json.loads(done.stdout)
    return created


def test_created_keys_are_listed_and_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [create("ann", "upload", "read"), create("bob", "admin")]
    monkeypatch.setenv("DARKROOM_API_KEYS", ", ".join(each["entry"] for each in made))
    done = key("list")
    assert done.stdout.splitlines() == [f"{made[0]['id']}  ann  read+upload", f"{made[1]['id']}  bob  admin"]
    listed = [json.loads(line) for line in key("list", "--json").stdout.splitlines()]
    limits = dict.fromkeys(("rate_limit", "quota_bytes", "quota_images"))
    assert listed == [{name: each[name] for name in ("id", "owner", "scopes")} | limits for each in made]
    done = key("revoke", made[0]["id"])
    assert (done.exit_code, done.stdout) == (0, f"{made[1]['entry']}\n")
    assert Keyring(parse_keys(done.stdout)).caller(made[1]["key"]).owner == "bob"
    assert "restart the service" in done.stderr
    assert key("revoke", made[0]["id"].upper()).stdout == done.stdout
    revoked = json.loads(key("revoke", made[1]["id"], "--json").stdout)
    assert (revoked["revoked"]["owner"], revoked["api_keys"]) == ("bob", made[0]["entry"])


def test_a_key_can_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ("--rate-limit", "0.5", "--quota-bytes", "2000000", "--quota-images", "0")
    made = json.loads(key("create", "--owner", "ann", "--scope", "read", *limits, "--json").stdout)
    assert made["entry"].endswith(":rate_limit=0.5:quota_bytes=2000000:quota_images=0")
    monkeypatch.setenv("DARKROOM_API_KEYS", made["entry"])
    assert key("list").stdout == (f"{made['id']}  ann  read  0.5 requests/s, 2,000,000 bytes, any number of images\n")
    listed = json.loads(key("list", "--json").stdout)
    assert (listed["rate_limit"], listed["quota_bytes"], listed["quota_images"]) == (0.5, 2_000_000, 0)
    for wrong in (
        ("--rate-limit", "0.01"),
        ("--rate-limit", "-1"),
        ("--quota-bytes", str(2**60)),
        ("--quota-images", "x"),
    ):
        done = key("create", "--owner", "ann", "--scope", "read", *wrong)
        assert (done.exit_code, done.stdout) == (2, ""), wrong


@pytest.mark.parametrize("key_id", ["0123456789ab", "x", "", "dk_secret"])
def test_unknown_keys_are_not_revoked(monkeypatch: pytest.MonkeyPatch, key_id: str) -> None:
    monkeypatch.setenv("DARKROOM_API_KEYS", create("ann", "read")["entry"])
    done = key("revoke", key_id)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == "error: no such key"
    assert done.stderr.splitlines()[2] == "try: darkroom key entry list"


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_API_KEYS", "no entry")
    done = key("list")
    assert done.exit_code == 2
    assert "DARKROOM_API_KEYS" in done.stderr
