"""Delivery of one image: as a form, or with an upload ticket straight to the store."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import httpx

from darkroom.connection import NOT_REACHED, Connection, read_json
from darkroom.errors import Conflict, NotDarkroom, NotFound
from darkroom.multipart import Form
from darkroom.records import Image, json_value
from darkroom.sources import Content

#: Receives the number of bytes sent in the present attempt, and the size of the image.
Progress = Callable[[int, int], None]

#: Longest `?wait=` of the service.
WAIT_SECONDS = 20
#: Longest time in which the service fetches an image.
_FETCH_SECONDS = 50
#: Longest time in which another client may send the same image with the same ticket.
_BUSY_SECONDS, _BUSY_PAUSE_SECONDS = 900.0, 2.0


def send_form(
    connection: Connection,
    payload: Content,
    fields: Mapping[str, Any],
    *,
    wait: float,
    on_duplicate: str,
    progress: Progress | None,
) -> Image:
    """Send the image in a form. The key of the request makes repetitions harmless."""
    form = Form(payload, _form_fields(fields))
    seconds = int(min(wait, WAIT_SECONDS))
    answer = connection.call(
        "POST",
        "/upload",
        params=_upload_params(seconds, on_duplicate),
        headers={**form.headers, "Idempotency-Key": str(uuid.uuid4())},
        content=lambda: counted(form.pieces(), payload.bytes, progress),
        expected={200, 201},
        wait=seconds,
    )
    return connection.decode(Image, answer)


def send_url(connection: Connection, url: str, fields: Mapping[str, Any], *, wait: float, on_duplicate: str) -> Image:
    """Have the service fetch an image. The key of the request makes repetitions harmless."""
    seconds = int(min(wait, WAIT_SECONDS))
    answer = connection.call(
        "POST",
        "/upload",
        params=_upload_params(seconds, on_duplicate),
        headers={"Idempotency-Key": str(uuid.uuid4())},
        json={"url": url, **fields},
        expected={200, 201},
        wait=_FETCH_SECONDS + seconds,
    )
    return connection.decode(Image, answer)


def _upload_params(seconds: int, on_duplicate: str) -> dict[str, Any]:
    params: dict[str, Any] = {} if on_duplicate == "reuse" else {"on_duplicate": on_duplicate}
    return params | ({"wait": seconds} if seconds > 0 else {})


class TicketUpload:
    """Upload with a ticket, which accepts the bytes once: another attempt shows if an earlier one succeeded."""

    def __init__(
        self, connection: Connection, payload: Content, fields: Mapping[str, Any], progress: Progress | None
    ) -> None:
        self._connection, self._payload, self._progress = connection, payload, progress
        self._wanted = {
            "content_type": payload.content_type,
            "bytes": payload.bytes,
            "sha256": payload.sha256,
            **({} if payload.filename is None else {"filename": payload.filename}),
            **fields,
        }
        #: Urls to which a request was made, and ids of the tickets whose bytes may be this client's.
        self._used: set[str] = set()
        self._tried: set[str] = set()

    def deliver(self) -> Image:
        """Send the image. Return its record if it was stored already, else one with the id only.

        The same request returns the same ticket, also to another client that sends the same bytes at this time.
        """
        begun, expired = time.monotonic(), 0
        while True:
            answer = self._connection.call("POST", "/upload/direct", json=self._wanted, expected={200, 201})
            if answer.status_code == 200:
                image = self._connection.decode(Image, answer)
                return replace(image, duplicate=False) if image.id in self._tried else image
            ticket = self._read_ticket(answer)
            try:
                return self._connection.repeat(partial(self._send, ticket))
            except NotFound:
                expired += 1
                if expired == self._connection.attempts:
                    raise
            except Conflict as error:
                if time.monotonic() - begun > _BUSY_SECONDS:
                    raise Conflict("Another upload of this image is still in progress.", error.problem) from error
                self._connection.pause(_BUSY_PAUSE_SECONDS)

    def _read_ticket(self, answer: httpx.Response) -> dict[str, Any]:
        ticket = read_json(answer)
        if (
            isinstance(ticket, dict)
            and all(isinstance(ticket.get(name), str) for name in ("id", "method", "url"))
            and isinstance(ticket.get("headers"), dict)
        ):
            return ticket
        raise NotDarkroom(self._connection.address)

    def _send(self, ticket: dict[str, Any]) -> Image:
        """Send the bytes to the store. Raises `NotFound` if the ticket cannot be used any more."""
        payload, used, again = self._payload, ticket["url"] in self._used, ticket["id"] in self._tried
        self._used.add(ticket["url"])
        self._tried.add(ticket["id"])
        try:
            with self._connection.store.stream(
                ticket["method"],
                self._connection.url.join(ticket["url"]),
                headers={**ticket["headers"], "Content-Length": str(payload.bytes)},
                content=counted(payload.pieces(), payload.bytes, self._progress),
            ) as streamed:
                answer = self._connection.complete(streamed)
        except NOT_REACHED:
            if not again:
                self._tried.discard(ticket["id"])
            raise
        if answer.status_code == 409 and not again:  # the bytes that arrive at this time are those of another client
            self._tried.discard(ticket["id"])
        if answer.status_code == 412:  # the bytes are stored, by an earlier attempt whose answer was lost or by another
            return Image(id=ticket["id"], status="pending", duplicate=not again)
        if answer.status_code == 403 and used:
            raise NotFound("The upload ticket has expired.")
        self._connection.check(answer)
        return Image(id=ticket["id"], status="pending")


def counted(pieces: Iterator[bytes], size: int, progress: Progress | None) -> Iterator[bytes]:
    """Yield the pieces of a body, and report the bytes sent. The framing around the image does not count."""
    sent = 0
    for piece in pieces:
        yield piece
        if progress is not None:
            sent = min(sent + len(piece), size)
            progress(sent, size)


def clean_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of the description that are given, as JSON."""
    return {name: json_value(value) for name, value in fields.items() if value is not None}


def _form_fields(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
