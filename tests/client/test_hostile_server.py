"""A hostile server: nothing that it answers takes the memory, the terminal or the time of its user."""

import dataclasses
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import typer

import darkroom
from darkroom import Client, connection
from darkroom.cli.images.lines import write_image
from darkroom.cli.images.session import for_each
from darkroom.cli.webhooks.lines import write_delivery, write_webhook
from darkroom.records import Image
from darkroom.webhooks.records import Delivery, Webhook

URL = "http://images.test"
JSON = {"content-type": "application/json"}
ESCAPES = "\x1b]0;title\x07\x1b[2J\u202e"


def _client(answer: httpx.Response | Any) -> Client:
    handler = answer if callable(answer) else lambda _: answer
    return Client(URL, transport=httpx.MockTransport(handler))


class _Endless(httpx.SyncByteStream):
    """Body that never ends, whose pieces are counted."""

    pieces = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.pieces += 1
            yield b" " * 1000


@pytest.mark.parametrize("status", [200, 400])
def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(connection, "MAX_BODY_BYTES", 10_000)
    body = _Endless()
    with pytest.raises(darkroom.NotDarkroom):
        _client(httpx.Response(status, headers=JSON, stream=body)).get("01a2")
    assert body.pieces == 11


def test_an_answer_that_is_large_when_it_is_unpacked_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_BODY_BYTES", 10_000)
    headers = {**JSON, "content-encoding": "deflate"}
    packed = httpx.ByteStream(zlib.compress(b'{"id": "1", "status": "ready"}' + b" " * 10_000))
    with pytest.raises(darkroom.NotDarkroom):
        _client(httpx.Response(200, headers=headers, stream=packed)).get("01a2")


def test_a_packed_answer_is_read() -> None:
    headers = {**JSON, "content-encoding": "deflate"}
    packed = httpx.ByteStream(zlib.compress(b'{"id": "1", "status": "ready"}'))
    assert _client(httpx.Response(200, headers=headers, stream=packed)).get("01a2").status == "ready"


def test_a_list_whose_page_refers_to_itself_ends() -> None:
    with pytest.raises(darkroom.NotDarkroom):
        list(_client(lambda _: httpx.Response(200, json={"items": [], "next_cursor": "same"})).images())


@pytest.mark.parametrize("changed", [{"url": ["x"]}, {"method": 1}, {"headers": "x"}, {"id": None}])
def test_a_ticket_of_another_kind_is_refused(changed: dict[str, Any]) -> None:
    ticket = {"id": "1", "method": "PUT", "url": "/files/1", "headers": {}, **changed}
    answers = {
        "/limits": {"max_upload_bytes": 1, "max_direct_bytes": 1000},
        "/images/lookup": {"known": {}},
        "/upload/direct": ticket,
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 + request.url.path.endswith("direct"), json=answers[request.url.path])

    with pytest.raises(darkroom.NotDarkroom):
        _client(answer).upload(b"\xff\xd8\xff\xe0" + bytes(100), filename="a.jpg")


def test_a_refusal_does_not_reach_the_terminal_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_: str) -> None:
        raise darkroom.Refused(f"{ESCAPES}evil")

    with pytest.raises(typer.Exit):
        for_each(["1"], refuse)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.rstrip("\n").isprintable()


def test_unknown_states_are_shown_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    values = {"status": f"new{ESCAPES}", "url": "", "events": (), "created_at": now}
    values |= dict.fromkeys(("id", "type", "event_id", "endpoint_id"), ESCAPES)

    def build(kind: type[Any]) -> Any:
        names = {field.name for field in dataclasses.fields(kind)}
        return kind(**{name: value for name, value in values.items() if name in names})

    write_image(build(Image))
    write_webhook(build(Webhook))
    write_delivery(build(Delivery))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() and "new" in line for line in lines)
