"""Readiness: one check for all callers, of everything that uploads need."""

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api import readiness
from app.domain.errors import Full, Unavailable
from tests.api.bodies.test_bad_input import assert_problem
from tests.api.service import Service, service_on
from tests.samples import encoded


async def ask(service: Service, count: int, path: str = "/readyz") -> list[int]:
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answers = await asyncio.gather(*(client.get(path) for _ in range(count)))
    return [answer.status_code for answer in answers]


def test_a_hundred_concurrent_callers_share_one_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("CACHE_SECONDS", "TIMEOUT_SECONDS"):
        monkeypatch.setattr(readiness, bound, 600)
    calls: list[None] = []
    begun, go_on = threading.Event(), threading.Event()

    def check() -> None:
        calls.append(None)
        begun.set()
        assert go_on.wait(60)

    async def many(service: Service) -> None:
        asked = asyncio.create_task(ask(service, 100))
        assert await asyncio.to_thread(begun.wait, 60)
        assert await ask(service, 3, "/healthz") == [200] * 3  # while the check blocks
        go_on.set()
        assert await asked == [200] * 100

    with service_on("self-hosted", tmp_path, checks={"storage": check}) as service:
        asyncio.run(many(service))
    assert len(calls) == 1


def test_sequential_callers_cause_one_check_per_second(tmp_path: Path) -> None:
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        raise Unavailable("failures are kept for a second too")

    with service_on("self-hosted", tmp_path, checks={"storage": check}) as service:
        started = time.monotonic()
        statuses = {service.client.get("/readyz").status_code for _ in range(50)}
        elapsed = time.monotonic() - started
    assert statuses == {503}
    assert 1 <= len(calls) <= 1 + elapsed / readiness.CACHE_SECONDS


def test_a_hanging_check_times_out_and_is_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "TIMEOUT_SECONDS", 0.05)
    calls: list[None] = []
    begun, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        calls.append(None)
        begun.set()
        assert go_on.wait(60)

    with service_on("self-hosted", tmp_path, checks={"storage": hang}) as service:
        for _ in range(5):
            problem = assert_problem(service.client.get("/readyz"), 503, "not_reachable")
            assert problem["failed"] == ["storage"]
            assert begun.wait(60)
        assert len(calls) == 1
        go_on.set()
        while service.client.get("/readyz").status_code != 200:
            time.sleep(0.01)


def test_a_full_disk_is_reported_as_full(tmp_path: Path) -> None:
    def full() -> None:
        raise Full("No space left")

    with service_on("self-hosted", tmp_path, checks={"storage": full, "records": lambda: None}) as service:
        problem = assert_problem(service.client.get("/readyz"), 503, "disk_full")
        assert problem["full"] == problem["failed"] == ["storage"]
        assert "No space left: storage." in problem["detail"]


@pytest.mark.parametrize("call", ["link", "fsync", "open", "mkdir"])
@pytest.mark.parametrize("code", [errno.EPERM, errno.EROFS, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_data_folder_that_refuses_uploads_is_not_ready(
    self_hosted: Service, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    real: Callable[..., Any] = getattr(os, call)

    def refuse(path: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(path, int) or "originals" in str(path) or "tmp" in str(path):
            raise OSError(code, os.strerror(code))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, call, refuse)
    upload = self_hosted.client.post("/upload", files={"file": ("a.jpg", encoded())})
    ready = self_hosted.client.get("/readyz")
    assert upload.status_code in {503, 507}
    assert_problem(ready, 503, "disk_full" if code == errno.ENOSPC else "not_reachable")
    monkeypatch.undo()
    assert self_hosted.client.post("/upload", files={"file": ("a.jpg", encoded())}).status_code == 201
