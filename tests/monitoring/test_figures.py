"""Counting, bounded labels, the socket between the processes, and the port of its own."""

import errno
import http.client
import re
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.sqlite import Database, SqliteDeliveries
from app.domain.delivery.deliveries import Attempt, DeliveryStatus, build_delivery
from app.domain.delivery.endpoints import new_endpoint_id
from app.domain.delivery.events import build_test_event
from app.domain.models import utcnow
from app.domain.reports import ImageReport, Outcome, RequestReport
from app.monitoring.exchange import FiguresSocket, read_figures
from app.monitoring.port import ScrapeServer
from app.monitoring.server_figures import ServerFigures
from app.monitoring.worker_figures import WorkerFigures
from tests.monitoring.figures import parse, total, value
from tests.repository.tree import ROOT
from tests.running_server import wait_for
from tests.sides import self_hosted

PERSONAL = "0193aaaa-secret-owner"
REASONS = ("rate_limit", "quota", "tickets", "renderer", "unauthorized", "forbidden", "too_large", "busy", "disk")


def request(**fields: object) -> RequestReport:
    given = {"request_id": PERSONAL, "method": "GET", "status": 200, "ms": 12.0, "bytes_in": 0, "bytes_out": 9}
    return RequestReport(**(given | fields))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.monitoring.exchange._SECONDS", 60.0)


@pytest.fixture
def server(tmp_path: Path) -> ServerFigures:
    return ServerFigures(tmp_path / "figures.sock", {"storage": tmp_path, "records": tmp_path / "gone"})


@pytest.fixture
def worker() -> WorkerFigures:
    return WorkerFigures(2)


def test_requests_uploads_and_sizes_are_counted(server: ServerFigures) -> None:
    server.request(request(route="/upload", method="POST", status=201, image_bytes=1000, image_id=PERSONAL))
    server.request(request(route="/upload", method="POST", status=200, image_bytes=1000, duplicate=True))
    server.request(request(route="/i/{image_id}", size="hit"))
    server.request(request(route="/i/{image_id}", size="miss"))
    server.request(request(status=404))
    for status, code in ((429, "rate_limited"), (507, "quota_exceeded"), (507, "storage_full"), (401, "key_unknown"),
                         (401, "key_missing"), (429, "too_many_tickets"), (503, "overloaded")):  # fmt: skip
        server.request(request(route="/images", status=status, code=code))
    text = server.exposition().decode()
    found = parse(text)
    assert value(found, "darkroom_requests_total", method="POST", route="/upload", status="201") == 1
    assert value(found, "darkroom_requests_total", method="GET", route="none", status="404") == 1
    assert value(found, "darkroom_request_seconds_count", route="/i/{image_id}") == 2
    assert value(found, "darkroom_request_seconds_bucket", route="none", le="0.025") == 1
    assert value(found, "darkroom_uploads_total") == value(found, "darkroom_duplicate_uploads_total") == 1
    assert value(found, "darkroom_upload_bytes_total") == 1000
    assert [value(found, "darkroom_sizes_total", result=result) for result in ("hit", "miss")] == [1, 1]
    refused = {reason: value(found, "darkroom_refusals_total", reason=reason) for reason in REASONS}
    assert refused == dict.fromkeys(("rate_limit", "quota", "disk", "tickets", "busy"), 1) | {
        "unauthorized": 2, "forbidden": 0, "too_large": 0, "renderer": 0,
    }  # fmt: skip
    assert total(found, "darkroom_refusals_total") == sum(refused.values())
    assert value(found, "darkroom_disk_free_bytes", disk="storage") > 0
    assert "gone" not in text
    assert PERSONAL not in text


def test_outcomes_and_phases_are_counted(worker: WorkerFigures) -> None:
    worker.image(ImageReport(image_id=PERSONAL, outcome=Outcome.READY, phases={"decode": 40, "x": 1}))
    worker.image(ImageReport(image_id=PERSONAL, outcome=Outcome.FAILED, code="corrupt_image", phases={"decode": 40}))
    worker.image(ImageReport(image_id=PERSONAL, outcome=Outcome.FAILED, code=PERSONAL))
    worker.watch("image", lambda: 2)
    text = worker.exposition().decode()
    found = parse(text)
    assert value(found, "darkroom_processed_total", outcome="ready", code="") == 1
    assert value(found, "darkroom_processed_total", outcome="failed", code="corrupt_image") == 1
    assert value(found, "darkroom_processed_total", outcome="failed", code="") == 1
    assert value(found, "darkroom_phase_seconds_count", phase="decode") == 1
    assert value(found, "darkroom_phase_seconds_sum", phase="decode") == 0.04
    assert value(found, "darkroom_children_busy", task="image") == value(found, "darkroom_children_limit") == 2
    assert PERSONAL not in text


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [
        ({"status": 204}, "2xx"),
        ({"status": 301}, "3xx"),
        ({"status": 410}, "4xx"),
        ({"status": 503}, "5xx"),
        ({"error": "timeout"}, "timeout"),
        ({"error": "refused"}, "refused"),
        ({"error": PERSONAL}, "other"),
        ({"status": 999}, "other"),
    ],
)
def test_attempts_of_webhooks_are_counted(worker: WorkerFigures, attempt: dict[str, Any], outcome: str) -> None:
    worker.webhook(Attempt(at=utcnow(), **attempt))
    text = worker.exposition().decode()
    found = parse(text)
    assert value(found, "darkroom_webhook_attempts_total", outcome=outcome) == 1
    assert total(found, "darkroom_webhook_attempts_total") == 1
    assert PERSONAL not in text


def test_deliveries_are_counted_at_each_scrape(tmp_path: Path, server: ServerFigures) -> None:
    with self_hosted(tmp_path) as side:
        database = Database(tmp_path / "deliveries.db")
        store = SqliteDeliveries(database)
        server.watch(side.queue, store)
        found = parse(server.exposition().decode())
        assert value(found, "darkroom_webhook_oldest_pending_seconds") == 0
        for age, status in ((9, "dead"), (5, "pending"), (3, "pending"), (1, "delivered")):
            event = build_test_event(new_endpoint_id(), utcnow() - timedelta(hours=age))
            delivery = build_delivery(event, new_endpoint_id()).model_copy(update={"status": DeliveryStatus(status)})
            store.add(event, [delivery])
        found = parse(server.exposition().decode())
        counts = {each: value(found, "darkroom_webhook_deliveries", status=each) for each in DeliveryStatus}
        assert counts == {"pending": 2, "delivered": 1, "dead": 1, "dropped": 0}
        assert 5 * 3600 <= value(found, "darkroom_webhook_oldest_pending_seconds") < 6 * 3600
        database.close()


def test_a_scrape_shows_the_worker_and_says_when_it_is_gone(
    tmp_path: Path, server: ServerFigures, worker: WorkerFigures
) -> None:
    assert value(parse(server.exposition().decode()), "darkroom_worker_up") == 0
    shown = FiguresSocket(tmp_path / "figures.sock", worker.exposition)
    shown.start()
    worker.image(ImageReport(image_id=PERSONAL, outcome=Outcome.READY))
    found = parse(server.exposition().decode())
    assert value(found, "darkroom_worker_up") == total(found, "darkroom_processed_total", outcome="ready") == 1
    assert (tmp_path / "figures.sock").stat().st_mode & 0o077 == 0
    shown.stop()
    assert not (tmp_path / "figures.sock").exists()
    assert value(parse(server.exposition().decode()), "darkroom_worker_up") == 0


@pytest.mark.parametrize("answer", [b"", b"half of a li", b"x" * 2_000_000])
def test_a_worker_that_answers_in_part_is_left_out(tmp_path: Path, answer: bytes) -> None:
    shown = FiguresSocket(tmp_path / "s", lambda: answer)
    shown.start()
    assert read_figures(tmp_path / "s") == b""
    shown.stop()


def test_a_worker_without_figures_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> bytes:
        raise ValueError("a fault")

    shown = FiguresSocket(tmp_path / "s", fail)
    shown.start()
    assert read_figures(tmp_path / "s") == read_figures(tmp_path / "s") == b""
    shown.stop()
    nowhere = FiguresSocket(tmp_path / "absent" / "s", fail)
    nowhere.start()
    nowhere.stop()
    assert "no socket for figures" in caplog.text


def test_a_worker_without_free_descriptors_answers_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals, accept = [OSError(errno.EMFILE, "Too many open files")], socket.socket.accept

    def accept_later(listener: socket.socket) -> Any:
        if refusals:
            raise refusals.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", accept_later)
    monkeypatch.setattr("app.monitoring.exchange._RETRY_SECONDS", 0)
    shown = FiguresSocket(tmp_path / "s", lambda: b"figures\n")
    shown.start()
    assert read_figures(tmp_path / "s") == b"figures\n"
    shown.stop()
    assert not refusals


def test_the_queue_is_shown(tmp_path: Path, server: ServerFigures) -> None:
    with self_hosted(tmp_path / "data") as side:
        server.watch(side.queue)
        assert value(parse(server.exposition().decode()), "darkroom_queue_oldest_seconds") == 0
        side.queue.send("event")
        side.queue.send("later", delay=600)
        found = parse(server.exposition().decode())
        assert value(found, "darkroom_queue_waiting") == 1
        assert 0 < value(found, "darkroom_queue_oldest_seconds") < 600
        assert ("darkroom_queue_dead_letters", frozenset()) in found
    found = parse(server.exposition().decode())  # the database is closed
    assert ("darkroom_queue_waiting", frozenset()) not in found
    assert value(found, "darkroom_disk_free_bytes", disk="storage") > 0


@pytest.fixture
def port(server: ServerFigures) -> Iterator[int]:
    scraped = ScrapeServer("127.0.0.1", 0, server.exposition)
    scraped.start()
    yield scraped.port
    scraped.stop()


def test_the_port_answers_scrapes_only(port: int) -> None:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "darkroom_worker_up 0\n" in answer.text
    assert httpx.get(f"http://127.0.0.1:{port}/images", timeout=60).status_code == 404
    assert httpx.post(f"http://127.0.0.1:{port}/metrics", timeout=60).status_code == 501
    with pytest.raises(OSError, match="in use"):
        ScrapeServer("127.0.0.1", port, bytes)


def test_the_port_opens_without_a_resolver(server: ServerFigures, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any) -> str:
        raise AssertionError("a broken resolver takes long")

    monkeypatch.setattr(socket, "getfqdn", look_up)
    scraped = ScrapeServer("127.0.0.1", 0, server.exposition)
    scraped.start()
    assert httpx.get(f"http://127.0.0.1:{scraped.port}/metrics", timeout=60).status_code == 200
    scraped.stop()


def test_scrapes_at_once_and_broken_ones_are_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as broken:
        broken.sendall(b"\x00\xff\r\n\r\n")
    statuses: list[int] = []

    def scrape() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/metrics")
        statuses.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=scrape) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def test_a_scraper_that_sends_byte_by_byte_is_disconnected(server: ServerFigures) -> None:
    scraped = ScrapeServer("127.0.0.1", 0, server.exposition, seconds=0.2)
    scraped.start()
    try:
        with socket.create_connection(("127.0.0.1", scraped.port)) as slow:
            slow.settimeout(0.05)
            ended = False
            while not ended:
                try:
                    slow.sendall(b"x")
                    ended = slow.recv(1) == b""
                except TimeoutError:
                    continue
                except OSError:
                    ended = True
        wait_for(lambda: answers(scraped.port), 60)  # a busy machine may take longer than 0.2 seconds
    finally:
        scraped.stop()


def test_alerts_and_the_page_name_figures_that_exist(server: ServerFigures, worker: WorkerFigures) -> None:
    known = {name for name, _ in parse(server.exposition().decode())} | {
        name for name, _ in parse(worker.exposition().decode())
    }
    known |= {"darkroom_requests_total", "darkroom_request_seconds", "darkroom_phase_seconds"}
    known |= {"darkroom_queue_waiting", "darkroom_queue_oldest_seconds", "darkroom_queue_dead_letters"}
    known |= {"darkroom_children_busy", "darkroom_webhook_deliveries", "darkroom_webhook_oldest_pending_seconds"}
    for page in ("docs/prometheus-alerts.yml", "docs/monitoring.md"):
        named = set(re.findall(r"\bdarkroom_\w+", (ROOT / page).read_text()))
        assert named
        assert named <= known, page
