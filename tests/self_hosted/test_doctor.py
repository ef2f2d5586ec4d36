"""`darkroom doctor` on one machine: each finding, provoked once."""

import errno
import json
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from app.adapters.sqlite import Database, SqliteDeliveries, SqliteEndpoints
from app.domain.delivery.deliveries import Delivery, DeliveryStatus, EndpointHealth, build_delivery
from app.domain.delivery.events import build_test_event
from app.domain.ids import first_id_at, new_id
from app.domain.images.notifications import object_created
from app.domain.keys import original_key
from app.domain.maintenance.doctor import machine
from app.domain.models import utcnow
from app.domain.work import Task, Work
from tests.contract.records import an_image
from tests.domain.delivery.receivers import an_endpoint
from tests.running_server import serving
from tests.transfer.installations import Installation, installation

CHECKS = ["settings", "access", "addresses", "quotas", "rights", "disk", "clock", "limits", "database", "storage",
          "table", "queue", "schedule", "records", "webhooks"]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation without findings on any machine."""
    monkeypatch.setattr(machine, "_DESCRIPTORS", 1)
    with installation("self-hosted", tmp_path) as opened:
        opened.data.chmod(0o700)
        opened.environment.update(DARKROOM_PROCESSING_MEMORY_MB="128", DARKROOM_WORKERS="1")
        yield opened


def findings(here: Installation, **settings: str) -> dict[str, dict[str, Any]]:
    """Run the command; its findings by code. Its exit code follows from their severities."""
    done = here.run("doctor", "--json", **settings)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    severities = {finding["severity"] for finding in found}
    assert done.exit_code == (2 if "error" in severities else 1 if "warning" in severities else 0), done.stderr
    for finding in found:
        assert set(finding) == {"check", "severity", "code", "detail", "remedy"}
        assert finding["detail"]
        assert bool(finding["remedy"]) == (finding["severity"] != "ok")
    return {finding["code"]: finding for finding in found if finding["severity"] != "ok"}


def one(here: Installation, code: str, severity: str, words: str, **settings: str) -> None:
    """Run the command, which makes this finding alone."""
    found = findings(here, **settings)
    assert list(found) == [code], found
    assert found[code]["severity"] == severity
    assert words in found[code]["detail"]


def test_a_good_installation_has_no_finding(here: Installation) -> None:
    done = here.run("doctor")
    assert done.exit_code == 0, done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines()[:-1]] == [["ok", check] for check in CHECKS]
    assert done.stdout.splitlines()[-1] == f"{len(CHECKS)} checks: {len(CHECKS)} ok"
    assert findings(here) == {}


def test_settings_that_are_wrong_are_listed_all_at_once(here: Installation) -> None:
    done = here.run("doctor", DARKROOM_PORT="x", DARKROOM_AUTH="maybe")
    assert done.exit_code == 2
    errors = [line for line in done.stdout.splitlines() if line.startswith("error")]
    assert len(errors) == 2
    assert "DARKROOM_AUTH" in errors[0]
    assert "DARKROOM_PORT" in errors[1]
    assert done.stdout.splitlines()[-1] == "1 check: 2 to repair"
    assert list(findings(here, DARKROOM_PORT="x")) == ["settings_invalid"]


KEYS = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": f"ann:read:{'0' * 64}"}
ADDRESS = {"DARKROOM_PUBLIC_URL": "https://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("code", "words", "settings"),
    [
        ("open_to_everybody", "everybody who can connect",
         {"DARKROOM_HOST": "0.0.0.0", "DARKROOM_ALLOW_ANONYMOUS": "true"}),
        ("no_rate_limit", "any number of requests", {"DARKROOM_HOST": "0.0.0.0", "DARKROOM_ALLOW_ANONYMOUS": "true"}),
        ("no_rate_limit", "any number of requests", {"DARKROOM_PUBLIC_URL": "https://img.invalid"}),
        ("rate_limit_of_proxy", "so a proxy forwards requests",
         {"DARKROOM_PUBLIC_URL": "https://img.invalid", "DARKROOM_RATE_LIMIT": "5"}),
        ("quota_below_image", "DARKROOM_QUOTA_BYTES is 1,000 bytes", {"DARKROOM_QUOTA_BYTES": "1000"}),
        ("quota_below_image", "quota_bytes of a key of ann is 5 bytes",
         {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": f"ann:read:{'0' * 64}:quota_bytes=5"}),
        ("any_host", "DNS rebinding", {"DARKROOM_ALLOWED_HOSTS": "*"}),
        ("fetch_any_host", "any public url", {"DARKROOM_FETCH_HOSTS": "*"}),
        ("previous_secret", "still verifies", {"DARKROOM_PREVIOUS_SECRET": "0123456789abcdef"}),
        ("proxies_everybody", "0.0.0.0/0", {"DARKROOM_TRUSTED_PROXIES": "0.0.0.0/0"}),
        ("public_url_insecure", "unencrypted", {"DARKROOM_PUBLIC_URL": "http://img.invalid"}),
        ("urls_relative", "DARKROOM_PUBLIC_URL is not set", KEYS | {"DARKROOM_HOST": "0.0.0.0"}),
        ("public_url_unreachable", "no answer at https://127.0.0.1:1", ADDRESS),
    ],
)  # fmt: skip
def test_settings_that_are_seldom_meant(here: Installation, code: str, words: str, settings: dict[str, str]) -> None:
    found = findings(here, **settings)
    assert found[code]["severity"] == "warning"
    assert words in found[code]["detail"]


@pytest.mark.parametrize(
    "settings",
    [
        KEYS | {"DARKROOM_PUBLIC_URL": "https://127.0.0.1:1", "DARKROOM_RATE_LIMIT": "5",
                "DARKROOM_TRUSTED_PROXIES": "127.0.0.1"},
        {"DARKROOM_RATE_LIMIT": "5"},
        KEYS | {"DARKROOM_QUOTA_BYTES": "1000000000"},
        {"DARKROOM_AUTH": "required", "DARKROOM_QUOTA_BYTES": "1000000000",
         "DARKROOM_API_KEYS": f"ann:read:{'0' * 64}:quota_bytes=0"},
    ],
)  # fmt: skip
def test_rate_limits_and_quotas_that_are_meant(here: Installation, settings: dict[str, str]) -> None:
    assert findings(here, **settings).keys() <= {"public_url_unreachable"}


def test_a_previous_secret_in_the_data_folder(here: Installation) -> None:
    (here.data / "secret.previous").write_text("0123456789abcdef")
    one(here, "previous_secret", "warning", "still verifies")


def test_a_data_folder_that_is_missing_is_not_made(here: Installation, tmp_path: Path) -> None:
    settings = {"DARKROOM_STORAGE_URL": f"file:{tmp_path}/no", "DARKROOM_DATABASE_URL": f"sqlite:{tmp_path}/no/a.db"}
    one(here, "data_missing", "error", f"{tmp_path}/no does not exist", **settings)
    assert not (tmp_path / "no").exists()


def test_a_data_folder_that_others_can_read(here: Installation) -> None:
    here.data.chmod(0o755)
    one(here, "readable_by_others", "warning", "has the mode 755")


def test_a_data_folder_that_may_not_be_written(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.access
    secret = here.data / "secret"
    findings(here)  # which makes the secret
    monkeypatch.setattr(os, "access", lambda path, mode, **more: path != secret and allowed(path, mode, **more))
    one(here, "not_writable", "error", f"{secret} may not be read and written")


def refuse(*_: Any, **__: Any) -> None:
    raise OSError(95, "Operation not supported")


def test_a_disk_without_hard_links(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    findings(here)
    monkeypatch.setattr(os, "link", refuse)
    found = findings(here)
    assert found["no_hard_links"]["severity"] == "error"
    assert "Operation not supported" in found["no_hard_links"]["detail"]
    assert list(found) == ["no_hard_links", "store_failed"]  # storing an object fails too
    assert not list(here.data.glob(".doctor-*"))


def test_a_disk_that_makes_nothing_durable(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    findings(here)
    monkeypatch.setattr(os, "fsync", refuse)
    assert findings(here)["no_fsync"]["severity"] == "error"


@pytest.mark.parametrize(("number", "remedy"), [(errno.EIO, "repair it"), (errno.EACCES, "give the user")])
def test_a_disk_that_does_not_answer(
    here: Installation, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    findings(here)

    def fail(path: Path) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(machine, "free_bytes", fail)
    one(here, "system_failed", "error", f"{os.strerror(number)} ({here.data})")
    assert findings(here)["system_failed"]["remedy"].startswith(remedy)


def test_a_full_disk_and_one_with_little_space(here: Installation) -> None:
    free = os.statvfs(here.data).f_bavail * os.statvfs(here.data).f_frsize // 1_048_576
    found = findings(here, DARKROOM_MIN_FREE_MB=str(free + 100_000))
    assert found["disk_full"]["severity"] == "error"
    assert "uploads get 507" in found["disk_full"]["detail"]
    one(here, "disk_low", "warning", "MB are free", DARKROOM_MIN_FREE_MB=str(max(1, free // 2)))


def test_a_disk_without_inodes(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MIN_FREE_ENTRIES", 2**62)
    if not os.statvfs(here.data).f_files:
        assert findings(here) == {}  # a file system that counts none
        return
    one(here, "no_inodes", "error", "inodes are free")


def test_a_network_disk(here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mounts"
    given = str(here.data.resolve().parent).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nnas:/x {given} nfs4 rw 0 0\n")
    monkeypatch.setattr(machine, "_MOUNTS", mounts)
    one(here, "network_disk", "warning", "nfs4")


def test_clocks_that_differ(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CLOCK_SECONDS", -1)
    one(here, "disk_clock_differs", "warning", "differs by")


def test_limits_of_the_machine(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DESCRIPTORS", 2**40)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] != resource.RLIM_INFINITY:
        one(here, "few_descriptors", "warning", "open files are allowed")
    monkeypatch.setattr(machine, "_DESCRIPTORS", 1)
    monkeypatch.setattr("app.cli.checks.usable_memory_mb", lambda: 200)
    one(here, "memory_too_small", "error", "200 MB of memory", DARKROOM_PROCESSING_MEMORY_MB="256")
    one(here, "images_wait_for_memory", "warning", "2 images of 128 MB", DARKROOM_WORKERS="2")


def test_events_that_failed(here: Installation) -> None:
    here.side.queue.send("{}")
    while here.side.queue.dead_letters() == 0:
        for message in here.side.queue.receive():
            here.side.queue.release(message.receipt)
    one(here, "dead_letters", "warning", "1 events have failed")


def test_events_that_no_worker_receives(here: Installation) -> None:
    here.side.queue.send(object_created(original_key(new_id()), 1))
    one(here, "no_worker", "error", "1 images wait")


def test_a_database_that_is_damaged(here: Installation) -> None:
    for _ in range(200):
        here.side.images.create(an_image(), claim=True)
    database = here.data / "darkroom.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(database.read_bytes())
    middle = len(content) // 8192 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    database.write_bytes(content)
    found = findings(here)
    assert found["database_damaged"]["severity"] == "error"
    assert "restore it from a backup" in found["database_damaged"]["remedy"]


def test_a_database_of_a_newer_version(here: Installation) -> None:
    with closing(sqlite3.connect(here.data / "darkroom.db")) as connection:
        connection.execute("PRAGMA user_version = 9999")
    found = findings(here)
    assert found["cannot_open"]["severity"] == "error"
    assert "darkroom.db" in found["cannot_open"]["detail"]


def add_delivery(here: Installation, **fields: Any) -> Delivery:
    """Store an endpoint and a delivery to it."""
    database = Database(here.data / "darkroom.db")
    endpoint = an_endpoint(url="https://hooks.example/a-secret-path")
    SqliteEndpoints(database).create(endpoint)
    event = build_test_event(endpoint.id, utcnow())
    delivery = build_delivery(event, endpoint.id).model_copy(update=fields)
    SqliteDeliveries(database).add(event, [delivery])
    database.close()
    return delivery


def fail(here: Installation, delivery: Delivery, **fields: Any) -> None:
    """Store the health of an endpoint."""
    database = Database(here.data / "darkroom.db")
    SqliteDeliveries(database).replace_health(EndpointHealth(endpoint_id=delivery.endpoint_id, version=1, **fields))
    database.close()


def test_webhooks_that_arrive(here: Installation) -> None:
    fail(here, add_delivery(here), failing_since=utcnow() - timedelta(minutes=50), failures=9)
    assert findings(here) == {}


def test_webhooks_that_are_dead(here: Installation) -> None:
    add_delivery(here, status=DeliveryStatus.DEAD, finished_at=utcnow())
    one(here, "webhooks_dead", "warning", "1 webhook deliveries have failed")


def test_a_webhook_endpoint_that_has_failed_for_an_hour(here: Installation) -> None:
    delivery = add_delivery(here)
    fail(here, delivery, failing_since=utcnow() - timedelta(minutes=70), failures=9)
    one(here, "webhook_paused", "warning", f"{delivery.endpoint_id} at hooks.example has failed since")
    assert "a-secret-path" not in here.run("doctor").stdout


def test_a_webhook_endpoint_that_is_gone(here: Installation) -> None:
    delivery = add_delivery(here)
    fail(here, delivery, failing_since=utcnow(), failures=1, disabled_at=utcnow())
    one(here, "webhook_disabled", "warning", "hooks.example answered 410")


def test_tasks_that_nobody_runs(here: Installation) -> None:
    old = utcnow() - timedelta(hours=5)
    here.side.images.create(an_image(work={Task.SWEEP: Work(since=old, due=old)}), claim=False)
    one(here, "reconcile_late", "warning", "1 images have tasks")


def test_an_image_from_the_future(here: Installation) -> None:
    future = utcnow() + timedelta(days=30)
    here.side.images.create(an_image(id=first_id_at(future)[:24] + new_id()[24:]), claim=False)
    one(here, "clock_behind", "error", "calls the future")


@contextmanager
def refusing(status: int, code: str) -> Iterator[str]:
    """Run a server that refuses one request; yield its address."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"code": code}).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.handle_request).start()
        yield f"http://127.0.0.1:{server.server_port}"


def test_a_public_address_that_is_refused(here: Installation) -> None:
    with refusing(403, "foreign_host") as address:
        one(here, "public_url_refused", "error", "refuses requests (403 foreign_host)", DARKROOM_PUBLIC_URL=address)


def test_a_public_address_that_is_at_its_rate_limit(here: Installation) -> None:
    with refusing(429, "rate_limited") as address:
        assert findings(here, DARKROOM_PUBLIC_URL=address) == {}


@pytest.mark.slow
def test_the_public_address(here: Installation, tmp_path: Path) -> None:
    with serving(tmp_path / "served", DARKROOM_ALLOWED_HOSTS="img.example.org") as server:
        public = {"DARKROOM_PUBLIC_URL": server.url}
        assert findings(here, **public) == {}
        one(here, "public_url_elsewhere", "error", "answers 404", DARKROOM_PUBLIC_URL=f"{server.url}/images")
    with serving(tmp_path / "closed", **KEYS) as server:
        assert findings(here, DARKROOM_PUBLIC_URL=server.url) == {}
