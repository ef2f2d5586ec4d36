"""Client of direct uploads: hash the file, request an upload ticket, send the bytes, wait."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from app.cli.image_file import ImageFile, UploadError, read_pieces, to_text, unreadable
from app.cli.ticket_cache import TICKET, CachedTicket, TicketCache

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60
#: Longest `?wait=` of `GET /images/{id}`.
_WAIT_SECONDS = 20
#: Longest time without any answer while waiting for an image; a restart of the service is shorter.
_SILENCE_SECONDS = 30
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout)
#: Status of an image that was sent with a key without the scope `read`.
SENT = "sent"
#: Fields of a record that the client uses.
_RECORD = frozenset({"id", "status"})

T = TypeVar("T")
Progress = Callable[[int], None]


class Unreachable(UploadError):
    """No server answers at the address."""


class InvalidArgument(ValueError):
    """The address or the API key cannot be used. The message says why and never contains the key."""


class DarkroomClient:
    """Client of one service. Tests pass a `transport` of httpx to work without a network.

    `notes` is a folder in which clients remember their tickets. An image that another client with the same folder is
    sending, or was sending when it was interrupted, is not stored twice: this client continues with its ticket, and
    returns the record as a duplicate if the other one sent the bytes.

    Raises `InvalidArgument` for an address that is not an HTTP url, and for a key that does not fit into a header.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        notes: Path | None = None,
    ) -> None:
        _check_address(url)
        key = (api_key or "").strip()  # a key read from a file often ends with a line break
        if not (key.isascii() and key.isprintable()):
            raise InvalidArgument("The API key contains invalid characters. (The key is not shown.)")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(30, read=_WAIT_SECONDS + 15)
        self._service = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        # Upload tickets lead to another host, which must not see the key.
        self._store = httpx.Client(base_url=url, timeout=timeout, transport=transport)
        self._tickets = TicketCache(notes, url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._service.close()
        self._store.close()

    def upload(self, image: ImageFile, progress: Progress = lambda _: None, **fields: Any) -> dict[str, Any]:
        """Send the image and return its record, which is `pending` unless the image was already stored.

        With a key without the scope `read`, the record has only `id` and the status `sent`.

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
        there, note = self._resume(image, wanted)
        if there is not None:
            progress(image.bytes)
            return there
        delivery = _Delivery(image, wanted, progress, note)
        there = _retry(lambda: self._deliver(delivery))
        if there is not None:
            return there
        # Separate from sending, so that a failed look at the record does not send the bytes again.
        image_id = delivery.id
        try:
            record = _retry(lambda: self._record(image_id))
        except UploadError as error:
            if error.problem.get("code") != "scope_missing":
                raise
            record = {"id": image_id, "status": SENT}
            self._tickets.forget(image.sha256)  # a later run could not check this ticket
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
                    record["status"] == "pending" and heard - asked < _PAUSE_SECONDS
                ):  # the server has too many waiting requests
                    time.sleep(min(_PAUSE_SECONDS, max(left, 0)))
            except (httpx.RequestError, _Retry) as error:
                if isinstance(error, _NOT_REACHED) and time.monotonic() - heard > _SILENCE_SECONDS:
                    raise _unreachable(error) from error
                time.sleep(min(_PAUSE_SECONDS, max(left, 0)))
        return record

    def _resume(self, image: ImageFile, wanted: dict[str, Any]) -> tuple[dict[str, Any] | None, CachedTicket | None]:
        """Look up an upload of the same bytes by another run: its record if they have arrived, else its ticket.

        A ticket with other fields is not used, because the image would not get the fields of this call.
        """
        note = self._tickets.find(image.sha256)
        if note is None:
            return None, None
        image_id = note.ticket["id"]
        try:
            record = _retry(lambda: self._record(image_id))
        except UploadError as error:
            if not error.problem:
                raise
            record = {}  # deleted, or not visible to this key
        if record.get("status") == "ready" or (record.get("status") == "pending" and note.sent):
            return record | {"duplicate": True}, None
        if record.get("status") == "pending" and note.wanted == wanted:
            return None, note
        self._tickets.forget(image.sha256)
        return None, None

    def _deliver(self, delivery: "_Delivery") -> dict[str, Any] | None:
        """Make one attempt. Return the record if the image was already stored, else None."""
        sha256 = delivery.image.sha256
        if delivery.note is None:
            answer = self._service.post("/upload/direct", json=delivery.wanted)
            if answer.status_code == 200:
                delivery.progress(delivery.image.bytes)
                return _parse(answer, needed=_RECORD)
            note = CachedTicket(_parse(answer, 201, TICKET), delivery.wanted)
            delivery.note = self._tickets.keep(sha256, note)
        self._send(delivery, delivery.note.ticket)
        self._tickets.arrived(sha256, delivery.note)
        return None

    def _send(self, delivery: "_Delivery", ticket: dict[str, Any]) -> None:
        image = delivery.image
        again, delivery.tried = delivery.tried, True
        headers = {**ticket["headers"], "Content-Length": str(image.bytes)}
        try:
            with image.path.open("rb") as file:
                content = _counted(read_pieces(file), delivery.progress)
                answer = self._store.request(ticket["method"], ticket["url"], headers=headers, content=content)
        except OSError as error:
            raise unreadable(error) from error
        if answer.status_code == 412:  # an earlier attempt stored the bytes, but its response was lost
            delivery.sent_by_another = not again
            return
        if answer.status_code == 410 or (answer.status_code == 403 and (again or delivery.resumed)):
            delivery.note, delivery.tried, delivery.resumed = None, False, False
            self._tickets.forget(image.sha256)
            raise _Retry("the ticket has expired")
        if answer.status_code == 409:  # an earlier attempt is still being written
            raise _Retry("the object is still being written")
        _parse(answer, expected=200)

    def _record(self, image_id: str, wait: int = 0) -> dict[str, Any]:
        answer = self._service.get(f"/images/{image_id}", params={"wait": wait} if wait else {})
        return _parse(answer, needed=_RECORD)


def _check_address(url: str) -> None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in {"http", "https"} or not address.host or (address.port or 0) > 65535:
        raise InvalidArgument("Invalid address of the service. Expected a url such as http://127.0.0.1:8000.")


@dataclass
class _Delivery:
    """State of one upload.

    All attempts use one ticket, which accepts the bytes once. So the next attempt shows if one whose response was lost
    had succeeded.
    """

    image: ImageFile
    wanted: dict[str, Any]
    progress: Progress
    note: CachedTicket | None
    tried: bool = False
    #: True if another run sent the bytes.
    sent_by_another: bool = False
    resumed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.resumed = self.note is not None

    @property
    def id(self) -> str:
        """Id of the record."""
        assert self.note is not None  # noqa: S101 - it has been delivered
        return str(self.note.ticket["id"])


class _Retry(Exception):
    """Another attempt may succeed, after `after` seconds if given."""

    def __init__(self, detail: str, after: int = 0) -> None:
        super().__init__(detail)
        self.after = after


def _retry(attempt: Callable[[], T]) -> T:
    last: Exception | None = None
    for number in range(_ATTEMPTS):
        if number:
            time.sleep(max(_PAUSE_SECONDS * 2**number, last.after if isinstance(last, _Retry) else 0))
        try:
            return attempt()
        except (httpx.RequestError, _Retry) as error:
            last = error
    if isinstance(last, _NOT_REACHED):
        raise _unreachable(last)
    raise UploadError(f"Gave up after {_ATTEMPTS} attempts: {last or type(last).__name__}")


def _unreachable(error: httpx.RequestError) -> Unreachable:
    address = error.request.url.copy_with(raw_path=b"/")
    return Unreachable(f"No server answers at {address} ({error}). Check the address, and that the server runs.")


def _parse(answer: httpx.Response, expected: int = 200, needed: frozenset[str] = frozenset()) -> dict[str, Any]:
    found = _json(answer)
    if answer.status_code == expected:
        if not needed <= found.keys():
            raise UploadError("The server at this address is not Darkroom. Check the address.")
        return found
    problem = found if "problem+json" in _type(answer) else {}
    detail = problem.get("detail") or f"{answer.status_code} {answer.reason_phrase}"
    if answer.status_code in {408, 429} or (answer.status_code >= 500 and answer.status_code != 507):
        raise _Retry(detail, _retry_after(answer) if answer.status_code == 429 else 0)
    raise UploadError(detail, problem)


def _retry_after(answer: httpx.Response) -> int:
    """Return the seconds of a `Retry-After` header, at most a minute."""
    given = answer.headers.get("retry-after", "")
    return min(int(given), _LONGEST_PAUSE_SECONDS) if given.isascii() and given.isdigit() and len(given) < 9 else 0


def _json(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a response, or an empty dict if it holds anything else."""
    try:
        found = answer.json() if "json" in _type(answer) else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", ""))


def _counted(pieces: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    sent = 0
    for piece in pieces:
        yield piece
        sent += len(piece)
        progress(sent)
