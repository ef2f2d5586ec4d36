"""Client of direct uploads: hash the file, request an upload ticket, send the bytes, wait."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from darkroom.cli import attempts
from darkroom.cli.attempts import (
    NOT_REACHED,
    Busy,
    Retry,
    Unreachable,
    get_address,
    not_darkroom,
    parse,
    retry,
    unreachable,
)
from darkroom.cli.image_file import FileChanged, ImageFile, UploadError, read_pieces, to_text, unreadable

#: Longest `?wait=` of `GET /images/{id}`.
_WAIT_SECONDS = 20
#: Longest time without any answer while waiting for an image; a restart of the service is shorter.
_SILENCE_SECONDS = 30
#: Longest time until the service says that it is there, and the answers of a proxy whose service is away.
_PING_SECONDS, _AWAY = 10, {502, 503, 504}
#: Status of an image that was sent with a key without the scope `read`.
SENT = "sent"
#: Most hashes in one lookup.
MAX_HASHES = 1000
#: Fields of a record, a ticket and a lookup that the client uses.
_RECORD = frozenset({"id", "status"})
_TICKET = frozenset({"id", "method", "url", "headers"})
_KNOWN = frozenset({"known"})

Progress = Callable[[int], None]


class InvalidArgument(ValueError):
    """The address or the API key cannot be used. The message says why and never contains the key."""


class DarkroomClient:
    """Client of one service. Tests pass a `transport` of httpx to work without a network.

    An upload that was interrupted, or that another client makes at the same time, is continued by the same request: the
    service returns the same ticket, or the record once the bytes have arrived.

    Raises `InvalidArgument` for an address that is not an HTTP url, and for a key that does not fit into a header.
    """

    def __init__(self, url: str, api_key: str | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        _check_address(url)
        key = (api_key or "").strip()  # a key read from a file often ends with a line break
        if not (key.isascii() and key.isprintable()):
            raise InvalidArgument("The API key contains invalid characters. (The key is not shown.)")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(30, read=_WAIT_SECONDS + 15)
        self._service = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        #: Scheme and host of the service, without user name and password.
        self.address = get_address(self._service.base_url)
        # Upload tickets lead to another host, which must not see the key.
        self._store = httpx.Client(base_url=url, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._service.close()
        self._store.close()

    def ping(self) -> None:
        """Return if the service answers. Raises `Unreachable`."""
        try:
            answer = self._service.get("/healthz", timeout=_PING_SECONDS)
        except httpx.RequestError as error:
            raise unreachable(error) from error
        if answer.status_code in _AWAY:
            raise Unreachable(self.address, f"{answer.status_code} {answer.reason_phrase}")

    def lookup(self, hashes: Sequence[str], owner: str | None = None) -> dict[str, str]:
        """Return the ids of the stored images with these SHA-256, at most `MAX_HASHES`. Raises `UploadError`."""
        wanted = {"sha256": list(hashes)} | ({"owner": owner} if owner else {})

        def ask() -> dict[str, Any]:
            return parse(self._service.post("/images/lookup", json=wanted), needed=_KNOWN)

        known = retry(ask)["known"] if hashes else {}
        if not isinstance(known, dict):
            raise not_darkroom()
        return known

    def read(self, image_id: str) -> dict[str, Any]:
        """Return the record of an image. Raises `UploadError`."""
        return retry(lambda: self._record(image_id))

    def upload(self, image: ImageFile, progress: Progress = lambda _: None, **fields: Any) -> dict[str, Any]:
        """Send the image and return its record, which is `pending` unless the image was already stored.

        `duplicate` is true in the record if another upload brought the bytes. With a key without the scope `read`, the
        record has only `id` and the status `sent`.

        `progress` receives the number of bytes sent in the current attempt. Interrupted transfers are repeated a few
        times. Raises `UploadError`.
        """
        wanted = {
            "filename": to_text(image.path.name),
            "content_type": image.content_type,
            "bytes": image.bytes,
            "sha256": image.sha256,
            **{name: value for name, value in fields.items() if value},
        }
        delivery = _Delivery(image, wanted, progress)
        stored = retry(lambda: self._deliver(delivery))
        if stored is not None:
            return stored
        # Separate from sending, so that a failed look at the record does not send the bytes again.
        image_id = delivery.id
        try:
            record = self.read(image_id)
        except UploadError as error:
            if error.problem.get("code") != "scope_missing":
                raise
            record = {"id": image_id, "status": SENT}
        return record | {"duplicate": True} if delivery.sent_by_another else record

    def wait_until_processed(self, record: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the record once it is ready or failed, or as it is after `seconds`.

        Raises `Unreachable` after 30 seconds without an answer, and other `UploadError`s.
        """
        end = time.monotonic() + seconds
        heard = time.monotonic()
        known = {"duplicate": True} if record.get("duplicate") else {}
        while record["status"] == "pending" and (left := end - time.monotonic()) > 0:
            asked = time.monotonic()
            try:
                record = self._record(record["id"], wait=max(1, int(min(left, _WAIT_SECONDS)))) | known
                heard = time.monotonic()
                if (
                    record["status"] == "pending" and heard - asked < attempts.PAUSE_SECONDS
                ):  # the server has too many waiting requests
                    time.sleep(min(attempts.PAUSE_SECONDS, max(left, 0)))
            except (httpx.RequestError, Retry) as error:
                if isinstance(error, NOT_REACHED) and time.monotonic() - heard > _SILENCE_SECONDS:
                    raise unreachable(error) from error
                time.sleep(min(attempts.PAUSE_SECONDS, max(left, 0)))
        return record

    def _deliver(self, delivery: "_Delivery") -> dict[str, Any] | None:
        """Make one attempt. Return the record if the bytes were already stored, else None."""
        if delivery.ticket is None:
            answer = self._service.post("/upload/direct", json=delivery.wanted)
            if answer.status_code == 200:
                delivery.progress(delivery.image.bytes)
                record = parse(answer, needed=_RECORD)
                return record | {"duplicate": record["id"] not in delivery.tried}
            delivery.ticket = parse(answer, 201, _TICKET)
        self._send(delivery, delivery.ticket)
        return None

    def _send(self, delivery: "_Delivery", ticket: dict[str, Any]) -> None:
        image = delivery.image
        again = ticket["id"] in delivery.tried
        headers = {**ticket["headers"], "Content-Length": str(image.bytes)}
        try:
            with image.path.open("rb") as file:
                delivery.tried.add(ticket["id"])
                content = _counted(read_pieces(file), delivery.progress, image.bytes)
                answer = self._store.request(ticket["method"], ticket["url"], headers=headers, content=content)
        except OSError as error:
            raise unreadable(error) from error
        if answer.status_code == 409:  # an earlier attempt or another client is still sending the bytes
            if not again:
                delivery.tried.discard(ticket["id"])
            delivery.ticket = None  # the same request returns the record once the bytes have arrived
            raise Busy("Another upload of this image is still in progress.")
        if answer.status_code == 412:  # an earlier attempt stored the bytes, but its response was lost
            delivery.sent_by_another = not again
            return
        if answer.status_code == 410 or (answer.status_code == 403 and again):
            delivery.ticket = None
            raise Retry("the ticket has expired")
        parse(answer, expected=200)

    def _record(self, image_id: str, wait: int = 0) -> dict[str, Any]:
        answer = self._service.get(f"/images/{image_id}", params={"wait": wait} if wait else {})
        return parse(answer, needed=_RECORD)


def _check_address(url: str) -> None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in {"http", "https"} or not address.host or (address.port or 0) > 65535:
        raise InvalidArgument("Invalid address of the service. Expected a url such as http://127.0.0.1:8000.")


@dataclass
class _Delivery:
    """State of one upload. A ticket accepts the bytes once, so the next attempt shows if an earlier one succeeded."""

    image: ImageFile
    wanted: dict[str, Any]
    progress: Progress
    ticket: dict[str, Any] | None = None
    #: Ids of the tickets to which bytes were sent.
    tried: set[str] = field(default_factory=set)
    #: True if another client sent the bytes.
    sent_by_another: bool = False

    @property
    def id(self) -> str:
        """Id of the record."""
        assert self.ticket is not None  # noqa: S101 - it has been delivered
        return str(self.ticket["id"])


def _counted(pieces: Iterator[bytes], progress: Progress, size: int) -> Iterator[bytes]:
    """Yield the pieces of a file. Raises `FileChanged` if it does not have its size."""
    sent = 0
    for piece in pieces:
        if sent + len(piece) > size:
            raise FileChanged
        yield piece
        sent += len(piece)
        progress(sent)
    if sent < size:
        raise FileChanged
