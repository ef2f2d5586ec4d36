"""The client half of a direct upload: hash, ask for a ticket, send, wait."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from app.cli.picture import Picture, UploadError, pieces, text_of, unreadable
from app.cli.under_way import TICKET, Note, UnderWay

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60
#: What `GET /images/{id}?wait=` takes at most.
_WAIT_SECONDS = 20
#: How long a service may be away, to be started again say, while a picture is waited for.
_SILENCE_SECONDS = 30
_NOBODY = (httpx.ConnectError, httpx.ConnectTimeout)
#: The status of a picture that has arrived, and that the key may not look at.
SENT = "sent"
#: What is needed of a record.
_RECORD = frozenset({"id", "status"})

T = TypeVar("T")
Progress = Callable[[int], None]


class Unreachable(UploadError):
    """There is nobody at the address."""


class BadCall(ValueError):
    """What the client was told to use cannot be used; the sentence says why, and quotes no key."""


class DarkroomClient:
    """Talks to one service. `transport` is httpx's way to test without a network.

    With `notes`, a folder, a picture that another client with the same folder is sending, or was sending when it was
    interrupted, does not become a second one: its record is gone on with, and returned as a duplicate if it was the
    other that brought the bytes.

    Raises `BadCall` for an address that is none, and for a key that no header can carry.
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
        key = (api_key or "").strip()  # read from a file it often ends with a line break
        if not (key.isascii() and key.isprintable()):
            raise BadCall("The API key has characters that no key has; it is not shown here.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(30, read=_WAIT_SECONDS + 15)
        self._service = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        # The store is somebody else: it must not see the key.
        self._store = httpx.Client(base_url=url, timeout=timeout, transport=transport)
        self._under_way = UnderWay(notes, url, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._service.close()
        self._store.close()

    def upload(self, picture: Picture, progress: Progress = lambda _: None, **words: Any) -> dict[str, Any]:
        """Send the picture and return its record, `pending` unless it was there already.

        With a key that may send and not look, the record is its `id` and the status `sent`.

        `progress` is called with how many bytes have been sent in this attempt. A send that breaks is begun again, a
        few times. Raises `UploadError`.
        """
        wanted = {
            "filename": text_of(picture.path.name),
            "content_type": picture.content_type,
            "bytes": picture.bytes,
            "sha256": picture.sha256,
            **{name: value for name, value in words.items() if value},
        }
        there, note = self._begun(picture, wanted)
        if there is not None:
            progress(picture.bytes)
            return there
        delivery = _Delivery(picture, wanted, progress, note)
        there = _again(lambda: self._delivered(delivery))
        if there is not None:
            return there
        # Apart from sending: what has arrived is not sent again because a look at it failed.
        image_id = delivery.id
        try:
            record = _again(lambda: self._record(image_id))
        except UploadError as error:
            if error.problem.get("code") != "scope_missing":
                raise
            record = {"id": image_id, "status": SENT}
            self._under_way.forget(picture.sha256)  # nobody here could tell whether the note still holds
        return record | {"duplicate": True} if delivery.came_otherwise else record

    def settled(self, record: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The record once it is ready or failed, or as it is after about so many seconds.

        Raises `Unreachable` when nobody has answered for half a minute, and other `UploadError`s.
        """
        end = time.monotonic() + seconds
        heard = time.monotonic()
        known = {"duplicate": True} if record.get("duplicate") else {}
        while record["status"] == "pending" and (left := end - time.monotonic()) > 0:
            asked = time.monotonic()
            try:
                record = self._record(record["id"], wait=max(1, int(min(left, _WAIT_SECONDS)))) | known
                heard = time.monotonic()
                if record["status"] == "pending" and heard - asked < _PAUSE_SECONDS:  # too many wait already
                    time.sleep(min(_PAUSE_SECONDS, max(left, 0)))
            except (httpx.RequestError, _TryAgain) as error:
                if isinstance(error, _NOBODY) and time.monotonic() - heard > _SILENCE_SECONDS:
                    raise _unreachable(error) from error
                time.sleep(min(_PAUSE_SECONDS, max(left, 0)))
        return record

    def _begun(self, picture: Picture, wanted: dict[str, Any]) -> tuple[dict[str, Any] | None, Note | None]:
        """What another run has begun with these bytes: their record if they have arrived, or the ticket to go on with.

        A ticket that was asked for with other words is left alone, for the picture would not get those of this call.
        """
        note = self._under_way.find(picture.sha256)
        if note is None:
            return None, None
        image_id = note.ticket["id"]
        try:
            record = _again(lambda: self._record(image_id))
        except UploadError as error:
            if not error.problem:
                raise
            record = {}  # gone, or not to be looked at
        if record.get("status") == "ready" or (record.get("status") == "pending" and note.sent):
            return record | {"duplicate": True}, None
        if record.get("status") == "pending" and note.wanted == wanted:
            return None, note
        self._under_way.forget(picture.sha256)
        return None, None

    def _delivered(self, delivery: "_Delivery") -> dict[str, Any] | None:
        """One attempt; the record, if the picture was there before."""
        sha256 = delivery.picture.sha256
        if delivery.note is None:
            answer = self._service.post("/upload/direct", json=delivery.wanted)
            if answer.status_code == 200:
                delivery.progress(delivery.picture.bytes)
                return _object(answer, needed=_RECORD)
            note = Note(_object(answer, 201, TICKET), delivery.wanted)
            delivery.note = self._under_way.keep(sha256, note)
        self._send(delivery, delivery.note.ticket)
        self._under_way.arrived(sha256, delivery.note)
        return None

    def _send(self, delivery: "_Delivery", ticket: dict[str, Any]) -> None:
        picture = delivery.picture
        again, delivery.tried = delivery.tried, True
        headers = {**ticket["headers"], "Content-Length": str(picture.bytes)}
        try:
            with picture.path.open("rb") as file:
                content = _counted(pieces(file), delivery.progress)
                answer = self._store.request(ticket["method"], ticket["url"], headers=headers, content=content)
        except OSError as error:
            raise unreadable(error) from error
        if answer.status_code == 412:  # an earlier attempt got through: one of ours, though its answer did not
            delivery.came_otherwise = not again
            return
        if answer.status_code == 410 or (answer.status_code == 403 and (again or delivery.resumed)):
            delivery.note, delivery.tried, delivery.resumed = None, False, False
            self._under_way.forget(picture.sha256)
            raise _TryAgain("the ticket has expired")
        if answer.status_code == 409:  # an earlier attempt is still being written
            raise _TryAgain("the store is busy with it")
        _object(answer, expected=200)

    def _record(self, image_id: str, wait: int = 0) -> dict[str, Any]:
        answer = self._service.get(f"/images/{image_id}", params={"wait": wait} if wait else {})
        return _object(answer, needed=_RECORD)


def _check_address(url: str) -> None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in {"http", "https"} or not address.host or (address.port or 0) > 65535:
        raise BadCall("The service's address is none: it has the form http://127.0.0.1:8000.")


@dataclass
class _Delivery:
    """A picture on its way. One ticket serves all attempts, for it is good for one picture: whether an attempt whose
    answer was lost got through is then told by the next."""

    picture: Picture
    wanted: dict[str, Any]
    progress: Progress
    note: Note | None
    tried: bool = False
    #: Whether another run has brought the bytes.
    came_otherwise: bool = False
    resumed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.resumed = self.note is not None

    @property
    def id(self) -> str:
        """Of the record."""
        assert self.note is not None  # noqa: S101 - it has been delivered
        return str(self.note.ticket["id"])


class _TryAgain(Exception):
    """The service or the store says that another attempt may succeed, perhaps only after so many seconds."""

    def __init__(self, detail: str, after: int = 0) -> None:
        super().__init__(detail)
        self.after = after


def _again(attempt: Callable[[], T]) -> T:
    last: Exception | None = None
    for number in range(_ATTEMPTS):
        if number:
            time.sleep(max(_PAUSE_SECONDS * 2**number, last.after if isinstance(last, _TryAgain) else 0))
        try:
            return attempt()
        except (httpx.RequestError, _TryAgain) as error:
            last = error
    if isinstance(last, _NOBODY):
        raise _unreachable(last)
    raise UploadError(f"Gave up after {_ATTEMPTS} attempts: {last or type(last).__name__}")


def _unreachable(error: httpx.RequestError) -> Unreachable:
    address = error.request.url.copy_with(raw_path=b"/")
    return Unreachable(f"Nobody answers at {address} ({error}): is it running, and is the address right?")


def _object(answer: httpx.Response, expected: int = 200, needed: frozenset[str] = frozenset()) -> dict[str, Any]:
    found = _json(answer)
    if answer.status_code == expected:
        if not needed <= found.keys():
            raise UploadError("Whoever answers there is not Darkroom; is the address right?")
        return found
    problem = found if "problem+json" in _type(answer) else {}
    detail = problem.get("detail") or f"{answer.status_code} {answer.reason_phrase}"
    if answer.status_code in {408, 429} or (answer.status_code >= 500 and answer.status_code != 507):
        raise _TryAgain(detail, _retry_after(answer) if answer.status_code == 429 else 0)
    raise UploadError(detail, problem)


def _retry_after(answer: httpx.Response) -> int:
    """Return the seconds of a `Retry-After` header, within reason."""
    given = answer.headers.get("retry-after", "")
    return min(int(given), _LONGEST_PAUSE_SECONDS) if given.isascii() and given.isdigit() and len(given) < 9 else 0


def _json(answer: httpx.Response) -> dict[str, Any]:
    """The object that the answer holds; an empty one if it holds anything else."""
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
