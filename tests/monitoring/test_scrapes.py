"""Scrapes of a running server: figures agree with the requests that were made, and answer under load."""

import hashlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.monitoring.figures import Figures, parse, total, value
from tests.running_server import Server, serving, wait_for
from tests.samples import encoded

pytestmark = pytest.mark.slow

ADMIN, READER = {"X-API-Key": "a key of an admin"}, {"X-API-Key": "a key of a reader"}
SLOW, FULL = {"X-API-Key": "a slow key"}, {"X-API-Key": "a key without space"}
TICKET = {"bytes": 100, "content_type": "image/jpeg"}
ALL = "read+upload+edit+delete+admin"
KEYS = ",".join(
    f"{owner}:{scopes}:{hashlib.sha256(key['X-API-Key'].encode()).hexdigest()}{limits}"
    for owner, scopes, key, limits in (
        ("ann", ALL, ADMIN, ""),
        ("bob", "read", READER, ""),
        ("eve", "read+upload", SLOW, ":rate_limit=0.1"),
        ("zoe", "upload", FULL, ":quota_bytes=99"),
    )
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": KEYS, "DARKROOM_DEFAULT_VISIBILITY": "public"}
    with serving(tmp_path / "data", **settings) as running:
        yield running


def scrape(server: Server) -> Figures:
    answer = server.client.get("/metrics", headers=ADMIN)
    assert answer.status_code == 200, answer.text
    return parse(answer.text)


def test_only_admins_scrape_the_main_port(server: Server) -> None:
    assert server.client.get("/metrics").status_code == 401
    assert server.client.get("/metrics", headers=READER).status_code == 403


def test_without_keys_the_main_port_has_no_figures_and_the_own_port_has(tmp_path: Path) -> None:
    with serving(tmp_path / "data", DARKROOM_METRICS_PORT="0") as server:
        assert server.client.get("/metrics").status_code == 403
        wait_for(lambda: log_lines(server, "/metrics is on port"), 60)
        (port,) = (line["message"].split()[-1] for line in log_lines(server, "/metrics is on port"))

        def refused() -> float:  # counted after its answer was sent
            figures = parse(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text)
            return value(figures, "darkroom_requests_total", method="GET", route="/metrics", status="403")

        wait_for(refused, 60)
        assert refused() == 1


def log_lines(server: Server, beginning: str) -> list[dict[str, Any]]:
    """Lines of the log whose message begins like this."""
    lines = map(json.loads, server.log.read_text().splitlines())
    return [line for line in lines if line["message"].startswith(beginning)]


def send_refused(call: Callable[..., httpx.Response]) -> None:
    """Send requests that are refused for each of the reasons."""
    for key, path in (({}, "/images"), ({"X-API-Key": "dk_no"}, "/images"), (READER, "/keys"), (SLOW, "/images")):
        for _ in range(4):
            call("GET", path, path, key)
    assert call("POST", "/upload/direct", "/upload/direct", FULL, json=TICKET).status_code == 507


def check_refusals(found: Figures, made: Counter[tuple[str, str, str]]) -> None:
    """Compare the refusals with the answers."""
    statuses = {"unauthorized": "401", "forbidden": "403", "rate_limit": "429", "quota": "507"}
    for reason, refused in statuses.items():
        count = sum(count for (_, _, status), count in made.items() if status == refused)
        assert value(found, "darkroom_refusals_total", reason=reason) == count > 0, reason


def scrape_at_rest(server: Server, images: int) -> Figures:
    """Scrape until the worker answers and has counted this number of images. It counts after it wrote their records."""
    end = time.monotonic() + 60
    while True:
        found = scrape(server)
        busy = value(found, "darkroom_queue_waiting") + total(found, "darkroom_children_busy")
        if value(found, "darkroom_worker_up") and total(found, "darkroom_processed_total") >= images and not busy:
            return found
        assert time.monotonic() < end, found


def test_figures_agree_with_500_mixed_requests(server: Server) -> None:
    before = scrape(server)
    made: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[str] = Counter()
    ids: list[str] = []
    uploaded = 0

    def call(method: str, path: str, route: str, key: Any = ADMIN, **options: Any) -> httpx.Response:
        answer = server.client.request(method, path, headers=key, **options)
        known = method if method in {"GET", "POST", "PATCH", "DELETE", "PUT"} else "other"
        made[known, route, str(answer.status_code)] += 1
        return answer

    for number in range(50):
        body = encoded("JPEG", 64, 48, seed=number)
        answer = call("POST", "/upload", "/upload", files={"file": ("a.jpg", body)})
        uploaded += len(body)
        ids.append(answer.json()["id"])
        assert call("POST", "/upload", "/upload", files={"file": ("a.jpg", body)}).status_code == 200
        call("POST", "/upload", "/upload", files={"file": ("a.txt", b"no image")})
        call("GET", f"/images/{ids[-1]}", "/images/{image_id}")
        call("PATCH", f"/images/{ids[-1]}", "/images/{image_id}", json={"title": f"{number}"})
        call("GET", f"/images/{number}", "/images/{image_id}")
        call("GET", f"/nowhere/{number}", "none")
        call(f"M{number}", "/images", "none")
    send_refused(call)
    failed = call("POST", "/upload", "/upload", files={"file": ("b.jpg", b"\xff\xd8\xff\xe0" + bytes(200))}).json()
    uploaded += 204
    for image_id in (*ids, failed["id"]):
        wait_for(
            lambda image_id=image_id: (
                call("GET", f"/images/{image_id}", "/images/{image_id}").json()["status"]  # type: ignore[misc]
                != "pending"
            ),
            60,
            server.log.read_text,
        )
    for image_id in ids[:10]:
        for result in ("miss", "hit"):
            assert call("GET", f"/i/{image_id}?w=32&fm=png", "/i/{image_id}").status_code == 200
            sizes[result] += 1
        call("DELETE", f"/images/{image_id}", "/images/{image_id}")
    while made.total() < 500:
        call("GET", "/limits", "/limits")

    found = scrape_at_rest(server, 51)
    for (method, route, status), count in made.items():
        labels = {"method": method, "route": route, "status": status}
        counted = value(found, "darkroom_requests_total", **labels) - value(before, "darkroom_requests_total", **labels)
        assert counted == count, labels
    for route in {route for _, route, _ in made}:
        timed = value(found, "darkroom_request_seconds_count", route=route)
        assert timed - value(before, "darkroom_request_seconds_count", route=route) == sum(
            count for (_, each, _), count in made.items() if each == route
        )
    check_refusals(found, made)
    assert value(found, "darkroom_uploads_total") == 51
    assert value(found, "darkroom_upload_bytes_total") == uploaded
    assert value(found, "darkroom_duplicate_uploads_total") == 50
    assert {result: value(found, "darkroom_sizes_total", result=result) for result in sizes} == sizes
    assert value(found, "darkroom_processed_total", outcome="ready", code="") == 50
    assert total(found, "darkroom_processed_total", outcome="failed") == 1
    assert value(found, "darkroom_phase_seconds_count", phase="process") == 50
    assert value(found, "darkroom_queue_dead_letters") == 0
    text = server.client.get("/metrics", headers=ADMIN).text
    assert not [secret for secret in (*ids, "ann", "127.0.0.1", "a.jpg", str(server.data)) if secret in text]


def test_scrapes_during_full_load_are_answered(server: Server) -> None:
    stop = threading.Event()
    errors: list[object] = []

    def load(seed: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60, headers=ADMIN) as client:
            number = 0
            while not stop.is_set():
                number += 1
                body = encoded("JPEG", 640, 480, seed=seed * 10_000 + number)
                answer = client.post("/upload", files={"file": ("a.jpg", body)})
                if answer.status_code != 201:
                    errors.append(answer.text)

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 300
    try:
        busy: Figures = {}
        while total(busy, "darkroom_uploads_total") < 100 or not value(busy, "darkroom_worker_up"):
            assert time.monotonic() < end, errors
            busy = scrape(server)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert value(busy, "darkroom_requests_total", method="POST", route="/upload", status="201") >= 100


def test_figures_survive_a_new_worker(server: Server) -> None:
    server.client.post("/upload", headers=ADMIN, files={"file": ("a.jpg", encoded("JPEG", 64, 48))})
    wait_for(lambda: log_lines(server, "worker ready"), 60, server.log.read_text)
    (worker,) = (line["pid"] for line in log_lines(server, "worker ready"))
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(log_lines(server, "worker ready")) == 2, 60, server.log.read_text)
    wait_for(lambda: value(scrape(server), "darkroom_worker_up") == 1, 60)
    assert value(scrape(server), "darkroom_uploads_total") == 1
