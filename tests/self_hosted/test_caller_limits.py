"""Rate limits and quotas of a running server, with many callers at once, and with the clients."""

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import darkroom
from app.domain.access.api_keys import Scope, new_key
from app.domain.access.own_limits import OwnLimits
from darkroom import Client
from tests.client.conftest import Command
from tests.running_server import Server, serving, wait_for
from tests.samples import encoded

pytestmark = pytest.mark.slow

AT_ONCE = 64


def keys(**limits: OwnLimits) -> tuple[dict[str, str], dict[str, str]]:
    """Return keys by name, each of its own owner, and the settings of a server that accepts them."""
    made = {name: new_key(name, [Scope.UPLOAD, Scope.READ, Scope.DELETE], own) for name, own in limits.items()}
    entries = ",".join(str(entry) for _, entry in made.values())
    return {name: key for name, (key, _) in made.items()}, {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": entries}


def test_callers_at_once_get_no_more_than_burst_and_rate(tmp_path: Path) -> None:
    rate = 1  # one request of each caller is more than the burst
    counts: Counter[int] = Counter()
    lock = threading.Lock()

    def call(server: Server) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for _ in range(20):
                answer = client.get("/images")
                assert (answer.status_code == 429) == ("retry-after" in answer.headers)
                with lock:
                    counts[answer.status_code] += 1

    with serving(tmp_path / "data", DARKROOM_RATE_LIMIT=str(rate)) as server:
        begun = time.monotonic()
        threads = [threading.Thread(target=call, args=(server,)) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.monotonic() - begun
        assert counts.keys() == {200, 429}
        assert 10 * rate <= counts[200] <= 10 * rate + rate * elapsed
        health = [server.client.get("/healthz").status_code for _ in range(50)]
        assert set(health) == {200}


def test_uploads_at_once_never_exceed_a_quota_and_none_is_lost(tmp_path: Path) -> None:
    bodies = [encoded("PNG", 64, 48, seed) for seed in range(AT_ONCE)]
    quota = sum(sorted(map(len, bodies))[:10])
    owned, settings = keys(ann=OwnLimits(quota_bytes=quota), bob=OwnLimits())

    def upload(server: Server, body: bytes, key: str) -> httpx.Response:
        headers = {"X-API-Key": key, "Content-Type": "image/png"}
        while True:
            answer = httpx.post(f"{server.url}/upload", content=body, headers=headers, timeout=60)
            if answer.status_code != 503:  # busy: clients try again
                return answer

    with serving(tmp_path / "data", **settings) as server, ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda body: upload(server, body, owned["ann"]), bodies))
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses.keys() == {201, 507}
        stored = [answer.json() for answer in answers if answer.status_code == 201]
        used = sum(record["bytes"] for record in stored)
        assert used <= quota < used + max(map(len, bodies))
        with Client(server.url, owned["ann"]) as client:
            told = client.stats()
            assert (told.used_bytes, told.used_images, told.quota_bytes) == (used, len(stored), quota)
            for record in stored:
                assert client.get(record["id"], wait=300).status == "ready"
        assert upload(server, bodies[0], owned["bob"]).status_code == 201


def test_the_client_waits_and_loses_nothing(tmp_path: Path) -> None:
    owned, settings = keys(ann=OwnLimits(), bob=OwnLimits(rate_limit=0.5))
    with serving(tmp_path / "data", DARKROOM_RATE_LIMIT="3", **settings) as server:
        with Client(server.url, owned["ann"]) as client:
            assert client.limits().rate_limit == 3
            results = list(client.upload_many([encoded(seed=seed) for seed in range(40)], jobs=4))
            assert [result.error for result in results] == [None] * 40
            assert len({result.image.id for result in results if result.image}) == 40
            assert client.stats().images == 40
        with Client(server.url, owned["bob"], attempts=1) as client:
            assert client.limits().rate_limit == 0.5
            with pytest.raises(darkroom.ServerError) as refused:
                any(client.stats().images for _ in range(1000))
        assert (refused.value.code, refused.value.status, refused.value.limit) == ("rate_limited", 429, 5)
        assert refused.value.retry_after is not None
        assert 1 <= refused.value.retry_after <= 2
        wait_for(lambda: '"code":"rate_limited"' in server.log.read_text().replace(": ", ":"), 60, server.log.read_text)


def test_the_command_uploads_all_files_under_a_limit(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(45):
        (folder / f"{seed}.jpg").write_bytes(encoded(seed=seed))
    with serving(tmp_path / "data", DARKROOM_RATE_LIMIT="4") as server:
        done = Command(server.url)("upload", folder, "--wait", "0", "--jobs", "4")
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1].startswith("45 files: ")
        assert "refused" not in done.stderr
        again = Command(server.url)("upload", folder, "--wait", "0")
        assert (again.returncode, again.stderr) == (0, "45 files: 45 known\n")


def test_a_running_server_follows_limits_of_a_key(tmp_path: Path) -> None:
    with serving(tmp_path / "data", DARKROOM_AUTH="required") as server:
        operator = Command(server.url, environment=_settings(server))
        made: dict[str, Any] = json.loads(
            operator("key", "create", "--owner", "ann", "--scope", "read", "--rate-limit", "700", "--json").stdout
        )

        def rate() -> float | None:
            found: dict[str, Any] = server.client.get("/limits", headers={"X-API-Key": made["key"]}).json()
            return found["rate_limit"]

        assert rate() == 700
        assert operator("key", "edit", made["id"], "--rate-limit", "250.5").returncode == 0
        wait_for(lambda: rate() == 250.5, 120)


def _settings(server: Server) -> dict[str, str]:
    return {name: value for name, value in server.environment.items() if name.startswith("DARKROOM_")}
