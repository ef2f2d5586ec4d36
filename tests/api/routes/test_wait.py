"""Waiting for images: one poller for all requests, and a limit of waiting requests."""

import asyncio
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.errors import Unavailable
from app.domain.models import Image, Status
from tests.api.exchange import Exchange
from tests.api.service import Service, service_on
from tests.running_server import wait_for
from tests.samples import encoded

WAIT = {"wait": "20"}


class Reads:
    """Reads of records, counted."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: list[list[str]] = []
        self.gets: list[str] = []
        self.failing = 0
        images = service.side.images
        versions, get = images.versions, images.get

        def counted_versions(image_ids: Collection[str]) -> Mapping[str, int]:
            is_failing, self.failing = self.failing > 0, max(0, self.failing - 1)
            found = {} if is_failing else versions(image_ids)
            self.at.append(list(image_ids))  # once what the test changes next cannot be part of it
            if is_failing:
                raise Unavailable("for a moment")
            return found

        def counted_get(image_id: str) -> Any:
            self.gets.append(image_id)
            return get(image_id)

        monkeypatch.setattr(images, "versions", counted_versions)
        monkeypatch.setattr(images, "get", counted_get)


@pytest.fixture
def looks(self_hosted: Service, monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(self_hosted, monkeypatch)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Service]:
    """Service in which two requests may wait."""
    with service_on("self-hosted", tmp_path, max_waiting=2) as service:
        yield service


def pending(service: Service, count: int) -> list[Image]:
    return [service.place(Status.PENDING, seed=seed) for seed in range(1, count + 1)]


def finish(service: Service, image: Image) -> None:
    service.side.images.update(image.id, image.version, {"status": Status.READY})


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.mark.slow
def test_a_hundred_waiting_requests_share_one_poller(self_hosted: Service, looks: Reads) -> None:
    images = pending(self_hosted, 20)
    first, *others = images

    async def play() -> list[httpx.Response]:
        transport = httpx.ASGITransport(self_hosted.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=60) as client:
            asked = [
                (image, asyncio.create_task(client.get(f"/images/{image.id}", params=WAIT)))
                for image in images
                for _ in range(5)
            ]
            await until(lambda: {image.id for image in images} <= {image_id for look in looks.at for image_id in look})
            await until(lambda: self_hosted.app.state.services.waiters._count == 100)
            looks.gets.clear()
            seen = len(looks.at)
            await until(lambda: len(looks.at) >= seen + 3)
            assert looks.gets == []  # polls read versions only
            await asyncio.to_thread(finish, self_hosted, first)
            answers = [await task for image, task in asked if image is first]
            assert {answer.json()["status"] for answer in answers} == {"ready"}
            assert set(looks.gets) == {first.id}
            assert not any(task.done() for image, task in asked if image is not first)
            for image in others:
                await asyncio.to_thread(finish, self_hosted, image)
            return [await task for _, task in asked]

    answers = asyncio.run(play())
    assert {answer.json()["status"] for answer in answers} == {"ready"}
    assert all(len(look) == len(set(look)) for look in looks.at)


def test_nothing_is_polled_without_waiting_requests(self_hosted: Service, looks: Reads) -> None:
    (image,) = pending(self_hosted, 1)

    def finish_after_the_first_poll() -> None:
        wait_for(lambda: looks.at, 60)
        finish(self_hosted, image)

    finishing = threading.Thread(target=finish_after_the_first_poll)
    finishing.start()
    assert self_hosted.client.get(f"/images/{image.id}", params=WAIT).json()["status"] == "ready"
    finishing.join()
    seen = len(looks.at)
    time.sleep(0.5)
    assert len(looks.at) == seen


def test_a_notice_of_the_worker_ends_the_wait_before_the_next_poll(
    self_hosted: Service, looks: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("_MIN_PAUSE", "_MAX_PAUSE", "_MAX_PAUSE_WITH_NOTICES"):
        monkeypatch.setattr(f"app.api.waiters.{pause}", 3600.0)
    image, other = pending(self_hosted, 2)
    waiters = self_hosted.app.state.services.waiters

    async def play() -> None:
        exchange = waiting(self_hosted, image)
        await until(lambda: image.id in waiters._watches)
        await asyncio.to_thread(waiters.notice, other.id)
        await asyncio.to_thread(waiters.notice, image.id)  # nothing has changed: it waits on
        await until(lambda: looks.at == [[image.id]])
        await asyncio.to_thread(finish, self_hosted, image)
        await asyncio.to_thread(waiters.notice, image.id)
        assert (await exchange.answer())[1]["status"] == "ready"
        assert looks.at == [[image.id], [image.id]]

    waiters.notice(image.id)  # nobody waits
    asyncio.run(play())
    waiters.notice(image.id)  # nobody waits any more


def test_a_notice_that_comes_during_a_poll_is_followed_by_another_poll(
    self_hosted: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("_MIN_PAUSE", "_MAX_PAUSE", "_MAX_PAUSE_WITH_NOTICES"):
        monkeypatch.setattr(f"app.api.waiters.{pause}", 3600.0)
    (image,) = pending(self_hosted, 1)
    waiters, images = self_hosted.app.state.services.waiters, self_hosted.side.images
    versions = images.versions

    def read_before_the_change(image_ids: Collection[str]) -> Mapping[str, int]:
        monkeypatch.setattr(images, "versions", versions)
        found = versions(image_ids)
        finish(self_hosted, image)
        waiters.notice(image.id)
        return found

    monkeypatch.setattr(images, "versions", read_before_the_change)

    async def play() -> None:
        exchange = waiting(self_hosted, image)
        await until(lambda: image.id in waiters._watches)
        await asyncio.to_thread(waiters.notice, image.id)
        assert (await exchange.answer())[1]["status"] == "ready"

    asyncio.run(play())


def test_a_failing_poll_does_not_end_the_wait(self_hosted: Service, looks: Reads) -> None:
    (image,) = pending(self_hosted, 1)
    looks.failing = 3

    def finish_after_the_failures() -> None:
        wait_for(lambda: looks.failing == 0, 60)
        finish(self_hosted, image)

    finishing = threading.Thread(target=finish_after_the_failures)
    finishing.start()
    answer = self_hosted.client.get(f"/images/{image.id}", params=WAIT)
    finishing.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert looks.failing == 0


def waiting(service: Service, image: Image, **headers: str) -> Exchange:
    return Exchange(service.app, "GET", f"/images/{image.id}?wait=20", headers)


async def held(service: Service, image: Image, count: int) -> list[Exchange]:
    exchanges = [waiting(service, image) for _ in range(count)]
    await until(lambda: service.app.state.services.waiters.full)
    return exchanges


def test_above_the_limit_of_waiting_requests_the_response_is_sent_at_once(narrow: Service) -> None:
    (image,) = pending(narrow, 1)

    async def play() -> None:
        exchanges = await held(narrow, image, 2)
        status, record, _ = await waiting(narrow, image).answer()
        assert (status, record["status"]) == (200, "pending")
        preferring = Exchange(narrow.app, "GET", f"/images/{image.id}", {"prefer": "wait=20"})
        _, record, headers = await preferring.answer()
        assert (record["status"], "preference-applied" in headers) == ("pending", False)
        body = encoded(seed=77)
        head = {"content-type": "multipart/form-data; boundary=x", "content-length": "1000000"}
        upload = Exchange(narrow.app, "POST", "/upload?wait=20", head)
        part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        await upload.send(part + body + b"\r\n--x--\r\n", more=False)
        status, record, _ = await upload.answer()
        assert (status, record["status"]) == (201, "pending")
        await asyncio.to_thread(finish, narrow, image)
        for exchange in exchanges:
            assert (await exchange.answer())[1]["status"] == "ready"
        assert not narrow.app.state.services.waiters.full

    asyncio.run(play())


@pytest.mark.parametrize("end", ["disconnect", "cancel", "delete"])
def test_a_finished_wait_frees_its_place(narrow: Service, end: str) -> None:
    (image,) = pending(narrow, 1)

    async def play() -> None:
        for exchange in await held(narrow, image, 2):
            if end == "disconnect":
                exchange.disconnect()
            elif end == "cancel":
                exchange.task.cancel()
            else:
                await asyncio.to_thread(narrow.client.delete, f"/images/{image.id}")
            await asyncio.wait({exchange.task})
        await until(lambda: not narrow.app.state.services.waiters.full)

    asyncio.run(play())


def test_with_a_limit_of_zero_no_request_waits(tmp_path: Path) -> None:
    with service_on("self-hosted", tmp_path, max_waiting=0) as service:
        (image,) = pending(service, 1)
        assert service.client.get(f"/images/{image.id}", params=WAIT).json()["status"] == "pending"
