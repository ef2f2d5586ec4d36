"""Temporary space: limited, released after every request; slow clients are aborted; one upload per ticket."""

import asyncio
import base64
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from app.api.bodies import spool, upload
from app.api.http import body_stream
from app.api.http.body_stream import TransferRate
from app.api.middleware import lingering_close
from app.domain.errors import Unavailable
from tests.api.bodies.test_bad_input import BOUNDARY, END, part
from tests.api.exchange import Exchange
from tests.api.live import live_on
from tests.api.service import LIMITS, Service, service_on
from tests.running_server import wait_for
from tests.samples import encoded
from tests.tiers import smoke

MEBIBYTE = 1024 * 1024
SIZE = 200_000
JPEG = encoded()
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
WAYS = ("form", "json", "raw", "ticket")


@pytest.fixture
def roomy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Service with temporary space for two uploads, which closes refused connections at once."""
    monkeypatch.setattr(lingering_close, "SECONDS", 0.05)
    with service_on("self-hosted", tmp_path, max_spool_bytes=2 * SIZE) as service:
        yield service


def image(seed: int) -> bytes:
    """Return bytes that begin like a JPEG."""
    return JPEG + seed.to_bytes(4, "big") * ((SIZE - len(JPEG)) // 4)


def begun(service: Service, way: str, seed: int, *, announced: bool = True) -> tuple[Exchange, bytes]:
    """Return an upload that has not sent anything yet, and its body."""
    method, url, headers = "POST", "/upload", {}
    if way == "form":
        headers, body = FORM, part("file", image(seed), "a.jpg") + END
    elif way == "json":
        headers, body = {"content-type": "application/json"}, b'{"image_base64": "%s"}' % base64.b64encode(image(seed))
    elif way == "raw":
        headers, body = {"content-type": "image/jpeg"}, image(seed)
    else:
        body = image(seed)
        ticket = service.client.post("/upload/direct", json={"content_type": "image/jpeg", "bytes": len(body)}).json()
        method, url, headers = ticket["method"], ticket["url"], ticket["headers"]
    length = {"content-length": str(len(body))} if announced else {"transfer-encoding": "chunked"}
    return Exchange(service.app, method, url, {**headers, **length}), body


def works(service: Service, seed: int = 999) -> bool:
    answer = service.client.post("/upload", files={"file": ("a.jpg", image(seed))})
    return answer.status_code in {200, 201}


def limit_space(monkeypatch: pytest.MonkeyPatch, way: str) -> int:
    """Limit the space of this kind of body to two uploads. JSON is kept in memory, in base64."""
    if way == "json":
        monkeypatch.setattr(spool, "ALL_FIELDS", 2 * SIZE * 4 // 3)
    return spool.ALL_FIELDS if way == "json" else 2 * SIZE


@pytest.mark.parametrize("way", WAYS)
def test_a_declared_length_without_space_is_refused_before_the_body(
    roomy: Service, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    limit = limit_space(monkeypatch, way)

    async def play() -> None:
        held = []
        for seed in range(3):
            exchange, body = begun(roomy, way, seed)
            await exchange.send(body[: len(body) * 3 // 5])
            held.append((exchange, body))
        late, _ = begun(roomy, way, 9)
        status, problem, headers = await late.answer()  # before the body
        assert (status, problem["code"], problem["limit_bytes"]) == (503, "too_many_uploads", limit)
        assert int(headers["retry-after"]) > 0
        (first, body), *others = held
        for exchange, _ in others:
            exchange.disconnect()
            await exchange.task
        await first.send(body[len(body) * 3 // 5 :], more=False)
        assert (await first.answer())[0] in {200, 201} if way != "ticket" else (await _ended(first)) == 200

    asyncio.run(play())
    assert works(roomy)


async def _ended(exchange: Exchange) -> int:
    await exchange.task
    return int(exchange.messages[0]["status"])


@pytest.mark.parametrize("way", ["form", "json"])
def test_a_chunked_upload_is_refused_when_the_space_is_used_up(
    roomy: Service, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    limit_space(monkeypatch, way)

    async def play() -> list[int]:
        held = []
        for seed in range(4):
            exchange, body = begun(roomy, way, seed, announced=False)
            await exchange.send(body[: len(body) * 4 // 5])
            held.append(exchange)
        for exchange in held:
            exchange.disconnect()
        await asyncio.gather(*(exchange.task for exchange in held))
        return [(await exchange.answer())[0] for exchange in held]

    assert asyncio.run(play()) == [400, 400, 503, 503]
    assert works(roomy)


async def _complete(exchange: Exchange, body: bytes) -> None:
    await exchange.send(body, more=False)


async def _disconnect(exchange: Exchange, body: bytes) -> None:
    await exchange.send(body[:150_000])
    exchange.disconnect()


async def _cancel(exchange: Exchange, body: bytes) -> None:
    await exchange.send(body[:150_000])
    exchange.task.cancel()


async def _fall_silent(exchange: Exchange, body: bytes) -> None:
    await exchange.send(body[:150_000])


async def _send_more(exchange: Exchange, body: bytes) -> None:
    await exchange.send(body[:150_000] + b"A" * 500_000)
    exchange.disconnect()


async def _break_off(exchange: Exchange, body: bytes) -> None:
    await exchange.send(body[:150_000], more=False)


ENDS: dict[str, Callable[[Exchange, bytes], Awaitable[None]]] = {
    "complete": _complete,
    "disconnected": _disconnect,
    "cancelled": _cancel,
    "silent": _fall_silent,
    "too large": _send_more,
    "broken off": _break_off,
    "refused by the store": _complete,
    "a bug": _complete,
}


@pytest.mark.parametrize("on_disk", smoke([True, False]), ids=["on disk", "in memory"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.slow
def test_temporary_space_is_released_after_every_request(
    roomy: Service, monkeypatch: pytest.MonkeyPatch, end: str, way: str, on_disk: bool
) -> None:
    async def play(seed: int) -> None:
        exchange, body = begun(roomy, way, seed)
        await ENDS[end](exchange, body)
        with anyio.fail_after(30):
            await asyncio.wait({exchange.task})
        assert exchange.task.cancelled() == (end == "cancelled")
        exchange.task.cancelled() or exchange.task.exception()

    if on_disk:
        monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    if end == "silent":
        monkeypatch.setattr(body_stream, "IDLE_SECONDS", 0.02)
    failure = {"refused by the store": Unavailable("no"), "a bug": RuntimeError("no")}.get(end)
    for seed in range(5):  # the space is for two
        with monkeypatch.context() as patch:
            if failure:
                patch.setattr(roomy.side.store, "create", _raising(failure))
            asyncio.run(play(seed))
    monkeypatch.undo()
    assert works(roomy)
    assert [name for name in roomy.left_behind() if name.startswith("temporary")] == []


def _raising(error: Exception) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


def test_a_ticket_accepts_one_upload_at_a_time(roomy: Service) -> None:
    async def play() -> None:
        first, body = begun(roomy, "ticket", 1)
        await first.send(body[:1000])
        again = [Exchange(roomy.app, first.method, first.url, first.headers) for _ in range(12)]
        for exchange in again:
            status, problem, headers = await exchange.answer()
            assert (status, problem["code"]) == (409, "upload_in_progress")
            assert int(headers["retry-after"]) > 0
        other, other_body = begun(roomy, "ticket", 2)
        await other.send(other_body, more=False)
        assert await _ended(other) == 200
        first.disconnect()
        await first.task
        retried = Exchange(roomy.app, first.method, first.url, first.headers)
        await retried.send(body, more=False)
        assert await _ended(retried) == 200

    asyncio.run(play())


def test_uploads_beyond_the_shared_memory_go_to_the_disk(roomy: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ALL_IN_MEMORY", 150_000)
    monkeypatch.setattr(upload, "BATCH_BYTES", 1)
    opened: list[None] = []
    real = roomy.side.store.spool

    def counting() -> Any:
        opened.append(None)
        return real()

    monkeypatch.setattr(roomy.side.store, "spool", counting)

    async def play() -> None:
        held = []
        for seed, expected in ((1, 0), (2, 1), (3, 2)):
            exchange, body = begun(roomy, "form", seed)
            await exchange.send(body[:100_000])
            assert len(opened) == expected
            held.append((exchange, body))
        exchange, body = held[0]
        for other, _ in held[1:]:
            other.disconnect()
            await other.task
        await exchange.send(body[100_000:], more=False)
        assert (await exchange.answer())[0] == 201

    asyncio.run(play())
    assert len(opened) == 3  # the first one was too large for the memory that is left
    assert works(roomy)
    assert len(opened) == 4


@pytest.mark.parametrize("way", ["form", "raw"])
@pytest.mark.parametrize("is_declared", [True, False])
@pytest.mark.parametrize(("batch_bytes", "batch_chunks"), [(1, 100), (5000, 100), (10**9, 3), (10**9, 10**9)])
def test_a_body_in_any_batches_arrives_byte_for_byte(
    roomy: Service, monkeypatch: pytest.MonkeyPatch, way: str, is_declared: bool, batch_bytes: int, batch_chunks: int
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 20_000)
    monkeypatch.setattr(upload, "BATCH_BYTES", batch_bytes)
    monkeypatch.setattr(upload, "BATCH_CHUNKS", batch_chunks)

    async def play() -> dict[str, Any]:
        exchange, body = begun(roomy, way, 1, announced=is_declared)
        for start in range(0, len(body), 7001):
            await exchange.send(body[start : start + 7001], more=start + 7001 < len(body))
        status, record, _ = await exchange.answer()
        assert status == 201, record
        return record

    record = asyncio.run(play())
    assert record["sha256"] == hashlib.sha256(image(1)).hexdigest()
    assert roomy.fetch(roomy.client.get(record["links"]["original"]).headers["location"]).content == image(1)


def test_open_uploads_share_the_memory_of_bytes_that_wait(roomy: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ALL_WAITING", 900)
    monkeypatch.setattr(spool, "LEAST_WAITING", 300)
    spools = roomy.app.state.services.spools
    shares = []

    async def play() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(4):
                opened = await stack.enter_async_context(spools.open(1))
                shares.append(opened.fair_share)
        async with spools.open(1) as opened:
            shares.append(opened.fair_share)

    asyncio.run(play())
    assert shares == [900, 450, 300, 300, 900]


def test_text_fields_of_all_uploads_have_a_limit(roomy: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ALL_FIELDS", 100_000)
    title, rest = part("title", b"x" * 40_000), b'{"metadata": "' + b"x" * 40_000

    async def play() -> None:
        for body, kind in ((title, FORM["content-type"]), (rest, "application/json")):
            held = [
                Exchange(roomy.app, "POST", "/upload", {"content-type": kind, "transfer-encoding": "chunked"})
                for _ in range(3)
            ]
            for exchange in held:
                await exchange.send(body)
            for exchange in held:
                exchange.disconnect()
            await asyncio.gather(*(exchange.task for exchange in held))
            answers = [await exchange.answer() for exchange in held if exchange.messages]
            assert [problem["code"] for status, problem, _ in answers if status == 503] == ["too_many_uploads"]

    asyncio.run(play())
    assert works(roomy)


@pytest.mark.parametrize("head_start", [0, 150_000])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.slow
def test_a_slow_client_is_aborted_even_if_it_was_fast_before(
    roomy: Service, monkeypatch: pytest.MonkeyPatch, way: str, head_start: int
) -> None:
    """An average since the start would accept the client for as long as its head start lasts."""
    monkeypatch.setattr(body_stream, "IDLE_SECONDS", 0.2)

    async def play() -> tuple[int, dict[str, Any], dict[str, str]]:
        exchange, body = begun(roomy, way, 1)
        await exchange.send(body[: head_start + 1])
        at = head_start + 1
        while not exchange.messages:
            assert at < len(body), "it was never too slow"
            await asyncio.sleep(0.01)
            await exchange.send(body[at : at + 1])
            at += 1
        exchange.disconnect()
        return await exchange.answer()

    status, problem, _ = asyncio.run(play())
    assert (status, problem["code"]) == (408, "request_timeout")
    assert "at least 3,276 are needed" in problem["detail"] or "No data received" in problem["detail"]
    assert works(roomy)


def seconds_until_aborted(rate: float, size: int, *, burst: int = 0) -> float | None:
    """Return the seconds until a client that sends a burst and then at this rate is aborted; None if it is not."""
    pace, now, sent = TransferRate(), 0.0, burst
    pace.add(0.0, burst)
    step = max(1 / 16, 1 / rate)
    while sent < size:
        if pace.seconds_left() < step:
            return now + pace.seconds_left()
        pace.add(step, int(rate * step))
        now, sent = now + step, sent + int(rate * step)
    return None


@pytest.mark.parametrize(
    ("rate", "burst", "aborted"),
    [
        (1, 0, True),
        (1024, 0, True),
        (15_000, 0, True),
        (16_000, 0, True),
        (17_000, 0, False),
        (100_000, 0, False),
        (1024, 10 * MEBIBYTE, True),
        (1024, 49 * MEBIBYTE, True),
        (17_000, 10 * MEBIBYTE, False),
    ],
)
def test_the_rate_is_that_of_the_last_thirty_seconds(rate: float, burst: int, aborted: bool) -> None:
    seconds = seconds_until_aborted(rate, 50 * MEBIBYTE, burst=burst)
    assert (seconds is not None) == aborted
    if seconds is not None:
        assert 29 < seconds < 62


def test_no_upload_of_50_mebibytes_takes_an_hour() -> None:
    """The slowest accepted client sends just enough at the end of each window."""
    pace, now, sent = TransferRate(), 0.0, 0
    needed = int(body_stream.IDLE_SECONDS * body_stream.MIN_BYTES_PER_SECOND)
    while sent < 50 * MEBIBYTE:
        wait = pace.seconds_left()
        assert wait > 0
        pace.add(wait, needed)
        now, sent = now + wait, sent + needed
    assert now < 3600


def test_a_stall_shorter_than_the_window_is_accepted() -> None:
    pace = TransferRate()
    for _ in range(20):
        pace.add(1.0, 600_000)
        pace.add(24.0, 1)
        assert pace.seconds_left() > 0


def test_the_rate_of_many_pieces_needs_little_memory() -> None:
    pace = TransferRate()
    for _ in range(100_000):
        pace.add(0.001, 65536)
    assert len(pace._buckets) <= 31


@pytest.mark.slow
def test_received_bytes_are_in_unnamed_files_of_the_data_folder(tmp_path: Path) -> None:
    with live_on("self-hosted", tmp_path, 100 * MEBIBYTE) as live:
        sent = part("file", JPEG + bytes(5 * MEBIBYTE), "a.jpg")
        with live.connect() as sock:
            head = f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
            sock.sendall(f"{head}Content-Length: {50 * MEBIBYTE}\r\n\r\n".encode() + sent)
            wait_for(live.open_files, 60, live.log)
            (file,) = live.open_files()
            assert file.startswith(str(tmp_path / "data"))
            assert list((tmp_path / "data" / "tmp").iterdir()) == []
            live.kill()
        assert list((tmp_path / "data" / "tmp").iterdir()) == []
        assert list((tmp_path / "scratch").iterdir()) == []


def test_an_upload_larger_than_its_share_of_memory_needs_no_system_folder(
    self_hosted: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    self_hosted.scratch.rmdir()
    try:
        assert works(self_hosted)
    finally:
        self_hosted.scratch.mkdir()


def test_the_space_must_hold_one_upload() -> None:
    from app.domain.errors import ConfigurationError
    from app.settings import load

    names = {"DARKROOM_MAX_SPOOL_MB": "10", "DARKROOM_MAX_UPLOAD_BYTES": str(50 * MEBIBYTE)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in names.items():
            patch.setenv(name, value)
        with pytest.raises(ConfigurationError, match="DARKROOM_MAX_SPOOL_MB"):
            load(os.environ)
    assert LIMITS.max_upload_bytes > SIZE
