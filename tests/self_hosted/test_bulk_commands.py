"""Operator commands that change many images, on a data folder and on AWS, while images are served."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner, Result

from app.cli import long_run
from app.domain.ids import new_id
from app.domain.images.notifications import object_created
from app.domain.keys import original_key
from app.domain.models import ANONYMOUS, Failure, FailureCode, Image, Status, Tombstone, Visibility
from app.domain.recipe import DEFAULT_RECIPE, build_rendering_id
from app.domain.uploads.tickets import RECORD_LIFE
from app.domain.work import Task
from darkroom.cli.command import cli
from tests.contract.records import PROCESSED, an_image
from tests.running_server import finished, serving, wait_for
from tests.samples import encoded
from tests.sides import Side, self_hosted
from tests.transfer.installations import installation
from tests.upgrades.test_migration import forget_visibility

COMMAND = [sys.executable, "-m", "darkroom"]
CURRENT = build_rendering_id(DEFAULT_RECIPE, None)
STALE = PROCESSED | {"rendering_id": "abcdef012345"}


@pytest.fixture(params=["self-hosted", "moto"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    """Stores that the settings name."""
    with installation(request.param, tmp_path) as opened, mock.patch.dict(os.environ, opened.environment):
        yield opened.side


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=answer)


def report(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def place(side: Side, changes: dict[str, Any] | None = None, **fields: Any) -> Image:
    image = an_image(**fields)
    side.images.create(image, claim=False)
    return side.images.update(image.id, 1, STALE if changes is None else changes)


def image(side: Side, image_id: str) -> Image:
    found = side.images.get(image_id)
    assert isinstance(found, Image)
    return found


def queued(side: Side) -> int:
    """Number of messages in the queue, which is then empty."""
    count = 0
    while messages := side.queue.receive(10):
        for message in messages:
            side.queue.delete(message.receipt)
            count += 1
    return count


def test_stale_images_are_queued(side: Side) -> None:
    stale = [place(side) for _ in range(3)]
    place(side, PROCESSED | {"rendering_id": CURRENT})
    done = run("reprocess", "--stale", "--dry-run")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "4 images: 3 to queue\n", "")
    assert queued(side) == 0
    done = run("reprocess", "--stale", "--json", "--ahead", "10")
    assert (done.exit_code, done.stderr) == (0, "")
    last_id = report(done)["last_id"]
    counts = {"looked_at": 4, "queued": 3, "in_progress": 0, "skipped": 0}
    assert report(done) == counts | {"complete": True, "last_id": last_id}
    assert queued(side) == 3
    assert all(Task.PROCESS in image(side, each.id).work for each in stale)
    assert run("reprocess", "--stale").stdout == "4 images: 0 queued, 3 in progress\n"
    assert run("reprocess", "--stale", "--after", last_id).stdout == "0 images: 0 queued\n"


def test_failed_images_are_queued(side: Side) -> None:
    for code in (FailureCode.TIMEOUT, FailureCode.CORRUPT_IMAGE):
        failure = Failure(code=code, detail="A sentence.")
        place(side, PROCESSED | {"status": Status.FAILED, "error": failure}, owner="ann")
    assert run("reprocess", "--failed", "--owner", "bob").stdout == "2 images: 0 queued\n"
    assert run("reprocess", "--failed", "--owner", "ann").stdout == "2 images: 1 queued\n"
    assert run("reprocess", "--failed", "--all-codes").stdout == "2 images: 1 queued\n"
    assert run("reprocess", "--all").stdout == "2 images: 0 queued\n"


def test_the_recipe_of_the_settings_counts(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    place(side, PROCESSED | {"rendering_id": CURRENT})
    assert run("reprocess", "--stale", "--dry-run").stdout == "1 image: 0 to queue\n"
    monkeypatch.setenv("DARKROOM_RECIPE", '{"variants": [{"name": "w9", "width": 9}]}')
    assert run("reprocess", "--stale", "--dry-run").stdout == "1 image: 1 to queue\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reprocess"], "give one of --stale, --failed and --all"),
        (["reprocess", "--stale", "--all"], "give one of --stale, --failed and --all"),
        (["reprocess", "--stale", "--all-codes"], "only with --failed"),
        (["reprocess", "--stale", "--after", "no-id"], "'no-id' is not the id of an image"),
        (["reprocess", "--stale", "--owner", "a b"], "'a b' is not a valid owner"),
        (["reprocess", "--stale", "--rate", "0"], "0.1"),
        (["reprocess", "--stale", "--ahead", "0"], "'--ahead': Input should be greater than"),
        (["migrate", "--visibility", "hidden"], "private"),
        (["migrate", "--after", "7"], "'7' is not the id of an image"),
        (["owner", "delete"], "Missing argument"),
        (["owner", "delete", "a b"], "'a b' is not a valid owner"),
    ],
)
def test_wrong_arguments_change_nothing(side: Side, arguments: list[str], words: str) -> None:
    before = place(side)
    done = run(*arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert image(side, before.id) == before


def test_images_are_migrated_as_the_settings_say(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    old = [place(side, {}) for _ in range(3)]
    for each in old:
        forget_visibility(side, each.id)
    done = run("migrate", "--dry-run")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "3 images: 3 to become public\n", "")
    monkeypatch.setenv("DARKROOM_AUTH", "required")
    assert run("migrate", "--dry-run").stdout == "3 images: 3 to become private\n"
    if side.fetch is not None:
        monkeypatch.setenv("DARKROOM_CDN_URL", "https://cdn.example.org")
        assert run("migrate", "--dry-run").stdout == "3 images: 3 to become public\n"
    assert run("migrate", "--dry-run", "--visibility", "public").stdout == "3 images: 3 to become public\n"
    assert report(run("migrate", "--visibility", "public", "--json"))["migrated"] == 3
    assert {image(side, each.id).visibility for each in old} == {Visibility.PUBLIC}
    assert run("migrate", "--visibility", "private").stdout == "3 images: 0 now private, 3 unchanged\n"
    assert {image(side, each.id).visibility for each in old} == {Visibility.PUBLIC}


def test_images_of_an_owner_are_deleted(side: Side) -> None:
    hers = [place(side, owner="ann") for _ in range(3)]
    ticket = an_image(owner="ann", upload_expires_at=hers[0].uploaded_at + RECORD_LIFE)
    side.images.create(ticket, claim=False)
    side.trash().delete("ann", hers[2].id)
    his = place(side, owner="bob")
    for answer in ("n\n", "\n", None):
        done = run("owner", "delete", "ann", answer=answer)
        assert (done.exit_code, "Delete 4 images of ann permanently?" in done.stderr) == (1, True)
        assert ("Add --yes" in done.stderr) == (answer is None)
        assert isinstance(side.images.get(hers[0].id), Image)
    done = run("owner", "delete", "ann", answer="y\n")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "4 images deleted permanently")
    assert all(isinstance(side.images.get(each.id), Tombstone) for each in (*hers, ticket))
    assert isinstance(side.images.get(his.id), Image)
    assert report(run("owner", "delete", "bob", "--yes", "--json")) == {"deleted": 1, "complete": True}
    done = run("owner", "delete", "ann")  # nothing to ask for
    assert (done.exit_code, done.stdout, done.stderr) == (0, "0 images deleted permanently\n", "")


def test_events_and_orphans_are_repaired(side: Side) -> None:
    body = encoded("JPEG", 64, 48, seed=71)
    waiting = an_image(owner="ann", sha256=None, bytes=len(body))
    side.images.create(waiting, claim=False)
    orphan = new_id()
    for image_id in (waiting.id, orphan):
        side.store.put(original_key(image_id), io.BytesIO(body), size=len(body), content_type="image/jpeg")
    queued(side)  # events of the bucket
    done = run("reconcile", "--requeue-minutes", "0", "--adopt", "--owner", "bob", "--grace-minutes", "0", "--json")
    assert done.exit_code == 0, done.stderr
    assert (report(done)["queued_again"], report(done)["orphans_adopted"]) == (1, 1)
    assert image(side, orphan).owner == "bob"
    assert queued(side) == 2


def test_failed_events_are_sent_again(side: Side) -> None:
    event = object_created(original_key(new_id()), 1)
    side.queue.send(event)
    while messages := side.queue.receive():
        side.queue.release(messages[0].receipt)
    done = run("redrive", "--json")
    assert (done.exit_code, report(done), done.stderr) == (0, {"sent": 1}, "")
    (message,) = side.queue.receive()
    assert message.body == event
    side.queue.delete(message.receipt)
    assert run("redrive").stdout == "images sent again: 0\n"


@pytest.mark.slow
def test_a_recipe_reaches_existing_images_while_the_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{data}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{data}/darkroom.db")
    with serving(data) as server:
        files = {"file": ("p.jpg", encoded("JPEG", 64, 48, seed=70))}
        before = finished(server, server.client.post("/upload", files=files).json()["id"])
        assert before["status"] == "ready"
    recipe = '{"variants": [{"name": "w9", "width": 9}]}'
    monkeypatch.setenv("DARKROOM_RECIPE", recipe)
    with serving(data, DARKROOM_RECIPE=recipe) as server:
        done = run("reprocess", "--stale", "--json")
        assert (done.exit_code, report(done)["queued"]) == (0, 1)
        path = f"/images/{before['id']}"
        wait_for(
            lambda: [each["name"] for each in server.client.get(path).json()["variants"]] == ["w9"],
            120,
            server.log.read_text,
        )
        after = server.client.get(path).json()
        assert (after["status"], after["reprocess_error"]) == ("ready", None)
        for variant in (*before["variants"], *after["variants"]):  # pages have the older ones
            assert server.client.get(variant["url"], follow_redirects=True).status_code == 200
        assert run("reprocess", "--stale").stdout == "1 image: 0 queued\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_an_interrupted_run_says_how_to_continue(tmp_path: Path, number: signal.Signals) -> None:
    """The queue is full, because no worker runs: the command waits."""
    data = tmp_path / "data"
    with self_hosted(data) as side:
        places = sorted(place(side, owner=ANONYMOUS).id for _ in range(4))
        environment = os.environ | {
            "DARKROOM_STORAGE_URL": f"file:{data}", "DARKROOM_DATABASE_URL": f"sqlite:{data}/darkroom.db"
        }  # fmt: skip
        command = [*COMMAND, "reprocess", "--stale", "--json", "--ahead", "2"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: side.queue.waiting() == 2, 60)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert (json.loads(out)["queued"], json.loads(out)["complete"]) == (2, False)
        assert f"Continue with: darkroom reprocess --stale --after {places[1]}" in err
        assert queued(side) == 2
        options = re.findall(r"darkroom (.*)", err)[-1].split()
        done = subprocess.run(
            [*COMMAND, *options], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout == "2 images: 2 queued\n"


def test_progress_is_a_line_every_half_minute_and_one_changing_line_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    last = new_id()
    progress = long_run.Progress("queued", clock=lambda: now)
    progress.show(0, None)
    now += 29
    progress.show(700, last)
    assert capsys.readouterr().err == ""
    now += 11
    progress.show(1200, last)
    progress.show(1201, last)
    progress.end()
    assert capsys.readouterr().err == f"1,200 queued, 30.0 a second, last id {last}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = long_run.Progress("queued", clock=lambda: now)
    for count in (3, 5):
        now += 0.5
        progress.show(count, None)
    progress.end()
    assert capsys.readouterr().err == (
        "\r\x1b[K3 queued, 6.0 a second, last id -\r\x1b[K5 queued, 5.0 a second, last id -\r\x1b[K"
    )


@pytest.mark.parametrize("command", [["reprocess", "--stale"], ["migrate"], ["owner", "delete", "ann", "--yes"]])
@pytest.mark.slow
def test_a_store_that_refuses_ends_the_command_with_its_reason(command: list[str]) -> None:
    nobody = "http://127.0.0.1:1"
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": nobody, "DARKROOM_QUEUE_URL": f"{nobody}/queue",
        "DARKROOM_STORAGE_URL": "s3://bucket", "DARKROOM_DATABASE_URL": "dynamodb://table",
    }  # fmt: skip
    done = subprocess.run(
        [*COMMAND, *command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-3] == "error: a store refused or did not answer"
    assert "Traceback" not in done.stderr
    if command[0] != "owner":
        assert "Continue with: darkroom " in done.stderr
