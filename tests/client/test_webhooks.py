"""Webhooks from end to end: the command, the client, a server, and receivers in Python and JavaScript."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.domain.access.api_keys import Scope, new_key
from darkroom import Client, DarkroomError
from tests.client.conftest import Command
from tests.repository.tree import ROOT
from tests.running_server import Server, free_port, serving
from tests.samples import encoded

pytestmark = pytest.mark.slow

ADMIN = new_key("root", [Scope.ADMIN])
EXAMPLES = ROOT / "examples" / "webhooks"
RECEIVERS = {"python": [sys.executable, "-u", "receiver.py"], "node": ["node", "receiver.mjs"]}
UNKNOWN = "whe_01a2121118a97bc8801bcadcca2023b7"
DEADLINE_SECONDS = 90


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that requires keys and may connect to this machine."""
    settings = {
        "DARKROOM_AUTH": "required",
        "DARKROOM_API_KEYS": str(ADMIN[1]),
        "DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    with serving(tmp_path_factory.mktemp("webhooks") / "data", **settings) as running:
        yield running


@pytest.fixture
def client(guarded: Server) -> Iterator[Client]:
    """A client with the scope admin. There are no endpoints."""
    with Client(guarded.url, ADMIN[0]) as made:
        for webhook in made.webhooks():
            made.delete_webhook(webhook.id)
        yield made


@pytest.fixture
def darkroom(guarded: Server, client: Client) -> Command:
    return Command(guarded.url, {"DARKROOM_API_KEY": ADMIN[0]})


@contextmanager
def receiving(kind: str, port: int, secret: str, log: Path) -> Iterator[None]:
    """Run the example of a receiver, whose output goes to a file."""
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "WEBHOOK_SECRET": secret}
    with log.open("wb") as output:
        process = subprocess.Popen(RECEIVERS[kind], cwd=EXAMPLES, env=environment, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.mark.parametrize("kind", RECEIVERS)
def test_the_receivers_of_the_docs_verify_what_the_server_sends(
    darkroom: Command, client: Client, tmp_path: Path, kind: str
) -> None:
    assert shutil.which(RECEIVERS[kind][0]), f"{kind} is not installed"
    port, log = free_port(), tmp_path / "receiver.log"
    made = darkroom("webhook", "create", f"http://127.0.0.1:{port}/hook", "--event", "image.ready")
    secret = made.stdout.strip()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret), made.stderr
    (webhook,) = client.webhooks()
    with receiving(kind, port, secret, log):
        delivered(darkroom, webhook.id)
        image = client.upload(encoded(seed=9000 + len(kind)), filename="Büro.jpg", wait=60)
        end = time.monotonic() + DEADLINE_SECONDS
        while f"image.ready {image.id}" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.1)
        assert re.search(rf"^evt_[0-9a-f]{{32}} image\.ready {image.id}$", log.read_text(), re.MULTILINE)
        assert "image.uploaded" not in log.read_text()
        darkroom("webhook", "rotate", webhook.id)
        delivered(darkroom, webhook.id)  # the receiver has the old secret
    wrong = "whsec_" + 43 * "A" + "="
    with receiving(kind, port, wrong, log):
        refused = delivered(darkroom, webhook.id, code=1)
        assert "400 in" in refused
        assert "evt_" not in log.read_text()


@pytest.mark.parametrize("file", ["receiver.py", "receiver.mjs"])
def test_a_receiver_has_at_most_fifteen_lines(file: str) -> None:
    assert len([line for line in (EXAMPLES / file).read_text().splitlines() if line]) <= 15


def delivered(darkroom: Command, webhook_id: str, code: int = 0) -> str:
    """Send tests until the receiver has started and one gets an answer. Return what the command says."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        done = darkroom("webhook", "test", webhook_id, "--wait", "60")
        if (" in " in done.stdout and "connection" not in done.stdout) or time.monotonic() > end:
            assert done.returncode == code, done.stdout + done.stderr
            return done.stdout


def test_endpoints_are_listed_changed_and_deleted(darkroom: Command, client: Client) -> None:
    none = darkroom("webhook", "list")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "no endpoints found\n")
    made = darkroom(
        "webhook", "create", "https://hooks.example.com/a", "--event", "image.failed", "--event", "image.ready",
        "--owner", "ann", "--description", "web shop", "--json",
    )  # fmt: skip
    record = json.loads(made.stdout)
    assert record["secret"].startswith("whsec_")
    assert (
        made.stderr
        == f"Give the secret to the receiver: it is shown only once. The id of the endpoint is {record['id']}.\n"
    )
    listed = darkroom("webhook", "list")
    line = f"{record['id']}  active    https://hooks.example.com/a  image.ready,image.failed  owner ann  web shop\n"
    assert (listed.stdout, listed.stderr) == (line, "1 endpoint\n")
    assert "whsec_" not in darkroom("webhook", "list", "--json").stdout
    changed = darkroom("webhook", "edit", record["id"], "--disable", "--owner", "", "--event", "*")
    assert changed.stdout == f"{record['id']}  disabled  https://hooks.example.com/a  *  web shop\n"
    rotated = darkroom("webhook", "rotate", record["id"])
    assert rotated.stdout.strip() not in {"", record["secret"]}
    deleted = darkroom("webhook", "delete", record["id"])
    assert (deleted.returncode, deleted.stdout) == (0, f"{record['id']} is deleted\n")
    assert list(client.webhooks()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["webhook", "create", "ftp://example.com"], 1, "must begin with"),
        (["webhook", "create", "https://169.254.169.254/"], 1, "link local"),
        (["webhook", "create", "https://example.com", "--event", "image.*"], 1, "`events` must name"),
        (["webhook", "test", UNKNOWN], 1, "No webhook endpoint has this id"),
        (["webhook", "delete", UNKNOWN], 1, "No webhook endpoint has this id"),
        (["webhook", "edit", UNKNOWN], 2, "at least one field"),
        (["delivery", "redeliver"], 2, "--since"),
        (["delivery", "redeliver", "x", "--status", "dead"], 2, "not both"),
        (["delivery", "redeliver", "x"], 1, "No such delivery"),
        (["delivery", "redeliver", "--endpoint", UNKNOWN, "--since", "x", "--until", "y"], 2, "is not a time"),
    ],
)
def test_refusals_say_why(darkroom: Command, arguments: list[str], code: int, says: str) -> None:
    done = darkroom(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_key_without_the_scope_is_refused(guarded: Server) -> None:
    done = Command(guarded.url, {"DARKROOM_API_KEY": "dk_wrong"})("webhook", "list")
    assert (done.returncode, done.stdout) == (4, "")


def test_deliveries_are_listed_and_sent_again(darkroom: Command, client: Client) -> None:
    webhook = client.create_webhook(f"http://127.0.0.1:{free_port()}/")  # nobody listens
    done = darkroom("webhook", "test", webhook.id, "--wait", "60")
    assert done.returncode == 1
    assert re.fullmatch(r"pending: connection in \d+ ms\n", done.stdout)
    (delivery,) = client.deliveries(endpoint=webhook.id)
    listed = darkroom("delivery", "list", "--endpoint", webhook.id, "--status", "pending")
    assert listed.stdout.startswith(f"{delivery.id}  pending    webhook.test")
    assert listed.stderr == "1 delivery\n"
    assert json.loads(darkroom("delivery", "list", "--event", delivery.event_id, "--json").stdout)["id"] == delivery.id
    again = retried(client, delivery.id)
    assert again.id == delivery.id
    client.delete_webhook(webhook.id)
    assert darkroom("delivery", "redeliver", delivery.id).returncode == 1
    ranged = client.create_webhook(webhook.url)
    day = ("--since", "2026-01-01", "--until", "2999-01-01")
    assert darkroom("delivery", "redeliver", "--endpoint", ranged.id, *day).stdout == "0 deliveries are sent again\n"


def retried(client: Client, delivery_id: str) -> object:
    """Send a delivery again, once no attempt of it is being made."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return client.redeliver(delivery_id)
        except DarkroomError as error:
            if error.code != "delivery_in_progress" or time.monotonic() > end:
                raise
            time.sleep(0.2)
