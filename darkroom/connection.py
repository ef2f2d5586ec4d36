"""Requests to a service, repeated where that cannot double anything."""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from darkroom.decoding import decode
from darkroom.errors import ClientClosed, DarkroomError, InvalidArgument, NotDarkroom, Unreachable, error_class

T = TypeVar("T")

#: Pause before the second attempt; each further one is twice as long, up to the second number.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 15.0
#: Longest `Retry-After` that is waited for.
LONGEST_RETRY_AFTER = 60
#: Longest time in which another request may be busy with the same image. The server forgets a request that was
#: interrupted after a minute.
BUSY_SECONDS = 120.0
#: Errors after which the request has not arrived.
NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: Conflicts that end by themselves.
_MOMENTARY = frozenset({"busy", "request_in_progress", "upload_in_progress"})

#: Answers of a service that has not begun with the request.
_REFUSALS = frozenset({429, 503})
#: Answers of a proxy whose service does not answer.
_AWAY = frozenset({502, 503, 504})
#: Most redirects of a download.
_REDIRECTS = 5
#: Longest body of an answer other than a download. A page of a list has less than a tenth of it.
MAX_BODY_BYTES = 64 * 1024 * 1024

Content = Callable[[], Iterator[bytes]]


class Connection:
    """Connections to one service and to the stores that it refers to. Threads can share it."""

    def __init__(
        self, url: str, key: str | None, *, timeout: float, attempts: int, transport: httpx.BaseTransport | None
    ) -> None:
        self.url = _check_url(url)
        self.attempts = max(1, attempts)
        self.timeout = timeout
        headers = _key_header(_check_key(key), self.url)
        try:
            self._service = httpx.Client(headers=headers, timeout=timeout, transport=transport)
            # Tickets and redirects lead to other hosts, which must not see the key.
            self.store = httpx.Client(timeout=timeout, transport=transport)
        except (OSError, ValueError) as error:
            detail = f"Proxy or certificate settings of the environment cannot be used: {error}"
            raise InvalidArgument(detail) from None
        #: Scheme and host of the service, without user name and password; and the url without them, with its path.
        self.address = get_address(self.url)
        self.public_url = str(self.url.copy_with(userinfo=b"")).rstrip("/")
        self._closed = threading.Event()
        self._answered = False

    def close(self) -> None:
        """Close all connections, and end calls of other threads that wait for another attempt."""
        self._closed.set()
        self._service.close()
        self.store.close()

    def join(self, path: str) -> httpx.URL:
        """Return the url of a path of the service."""
        return self.url.copy_with(raw_path=self.url.raw_path.rstrip(b"/") + path.encode())

    def call(  # noqa: PLR0913 - the parts of a request, and when to repeat it
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        expected: Collection[int] = (200,),
        repeatable: bool = True,
        wait: float = 0,
    ) -> httpx.Response:
        """Make a request, with further attempts if it fails, and return its expected answer.

        `content` makes the body of each attempt. A request that is not `repeatable` is repeated only if it has not
        arrived, or if the service asks to try later. `wait` is the time that the service may wait before it answers.

        Raises `DarkroomError`.
        """

        def attempt() -> httpx.Response:
            with self._service.stream(
                method,
                self.join(path),
                params=params,
                json=json,
                headers=headers,
                content=None if content is None else content(),
                timeout=httpx.Timeout(self.timeout, read=self.timeout + wait),
            ) as answer:
                return self.complete(answer)

        return self.repeat(lambda: self.check(attempt(), expected), repeatable=repeatable)

    def ping(self, seconds: float) -> None:
        """Return if the service answers within these seconds. Raises `Unreachable`."""
        try:
            with self._service.stream("GET", self.join("/healthz"), timeout=seconds) as answer:
                pass  # the status says it all
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        except RuntimeError as error:
            raise self._closed_meanwhile(error) from error
        if answer.status_code in _AWAY:
            raise Unreachable(self.address, f"{answer.status_code} {answer.reason_phrase}")

    def repeat(self, attempt: Callable[[], T], *, repeatable: bool = True) -> T:
        """Return the result of an attempt, of which there are several if it fails. Raises `DarkroomError`."""
        number, begun = 0, time.monotonic()
        while True:
            if self._closed.is_set():
                raise ClientClosed
            number += 1
            pause = min(PAUSE_SECONDS * 2 ** (number - 1), LONGEST_PAUSE_SECONDS) * random.uniform(0.7, 1.0)  # noqa: S311
            try:
                return attempt()
            except httpx.RequestError as error:
                missed = isinstance(error, NOT_REACHED)
                # A server that has never answered is probably not there.
                most = self.attempts if self._answered else min(self.attempts, 2)
                if number >= (most if missed else self.attempts) or not (missed or repeatable):
                    raise self._unreachable(error) from error
            except RuntimeError as error:
                raise self._closed_meanwhile(error) from error
            except httpx.InvalidURL as error:
                raise NotDarkroom(self.address) from error
            except DarkroomError as error:
                if error.code in _MOMENTARY and time.monotonic() - begun < BUSY_SECONDS:
                    number -= 1
                    pause = PAUSE_SECONDS
                elif number >= self.attempts or not error.is_temporary or not (repeatable or error.status in _REFUSALS):
                    raise
                pause = max(pause, error.retry_after or 0)
            self.pause(pause)

    def check(self, answer: httpx.Response, expected: Collection[int] = (200,)) -> httpx.Response:
        """Return an expected answer. Raises `DarkroomError` for any other."""
        self._answered = True
        if answer.status_code in expected:
            return answer
        if answer.status_code < 400:
            raise NotDarkroom(self.address)
        problem = read_json(answer) if "problem+json" in _type(answer) else None
        members = {"status": answer.status_code, "title": answer.reason_phrase, **(problem or {})}
        detail = members.get("detail")
        if not isinstance(detail, str):
            detail = f"{self.address} answered {answer.status_code} {answer.reason_phrase}."
        kind = error_class(answer.status_code)
        raise kind(detail, members, retry_after=_retry_after(answer))

    @contextmanager
    def stream(self, path: str) -> Iterator[httpx.Response]:
        """Open a file of the service, or of the store that it redirects to. The key is not sent there."""
        url, client = self.join(path), self._service
        for _ in range(_REDIRECTS):
            # The bytes as they are: a proxy might compress them.
            with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
                if not answer.is_redirect:
                    self.check(answer if answer.status_code == 200 else self.complete(answer))
                    yield answer
                    return
                url, client = answer.url.join(answer.headers["location"]), self.store
        raise NotDarkroom(self.address)

    def complete(self, answer: httpx.Response) -> httpx.Response:
        """Return a streamed answer with its body. Raises `NotDarkroom` for an endless one."""
        body = bytearray()
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise NotDarkroom(self.address)
        headers = answer.headers.copy()
        for name in ("content-encoding", "content-length", "transfer-encoding"):  # the body is decoded
            headers.pop(name, None)
        reason = {"reason_phrase": answer.reason_phrase.encode("ascii", "replace")}
        return httpx.Response(
            answer.status_code, headers=headers, content=bytes(body), request=answer.request, extensions=reason
        )

    def decode(self, kind: type[T], document: Any) -> T:
        """Return an answer or its document as an object. Raises `NotDarkroom` for any other document."""
        try:
            return decode(kind, read_json(document) if isinstance(document, httpx.Response) else document)
        except (ValueError, TypeError, AttributeError):
            raise NotDarkroom(self.address) from None

    def read(self, answer: httpx.Response, name: str, kind: type[T]) -> T:
        """Return a member of the document of an answer. Raises `NotDarkroom` if there is none of this kind."""
        document = read_json(answer)
        found = document.get(name) if isinstance(document, dict) else None
        if not isinstance(found, kind):
            raise NotDarkroom(self.address)
        return found

    def pause(self, seconds: float) -> None:
        """Wait. Raises `ClientClosed` if the client is closed meanwhile."""
        if self._closed.wait(seconds):
            raise ClientClosed

    def _closed_meanwhile(self, error: RuntimeError) -> Exception:
        """Return the error to raise instead of one of httpx, whose client another thread has closed."""
        return ClientClosed() if self._closed.is_set() else error

    def _unreachable(self, error: httpx.RequestError) -> Unreachable:
        """Build the error, with the reason of the operating system if there is one."""
        cause: BaseException | None = error
        while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
            cause = cause.__cause__ or cause.__context__
        reason = cause.strerror if isinstance(cause, OSError) else None
        if reason is None and isinstance(error, httpx.TimeoutException):
            reason = "timed out"
        return Unreachable(get_address(error.request.url), reason or str(error) or type(error).__name__)


def get_address(url: httpx.URL) -> str:
    """Return scheme and host of a url, without user name and password."""
    return str(url.copy_with(userinfo=b"", raw_path=b"/")).rstrip("/")


def item_path(kind: str, given: str, rest: str = "") -> str:
    """Return the path of an item of this kind. Raises `InvalidArgument` for a value that is no id."""
    if not isinstance(given, str) or not given:
        raise InvalidArgument(f"Expected an id (found: {given!r:.80}).")
    return f"/{kind}/{quote(given, safe='')}{rest}"


def read_json(answer: httpx.Response) -> Any:
    """Return the JSON of an answer, or None if it has none."""
    try:
        return answer.json() if "json" in _type(answer) else None
    except (ValueError, RecursionError):
        return None


def _retry_after(answer: httpx.Response) -> float | None:
    given = answer.headers.get("retry-after", "")
    return min(int(given), LONGEST_RETRY_AFTER) if given.isascii() and given.isdigit() and len(given) < 9 else None


def _type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", ""))


def _check_url(url: str) -> httpx.URL:
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        found = httpx.URL()
    if found.scheme not in {"http", "https"} or not found.host or (found.port or 0) > 65535:
        shown = "…" if "@" in str(url) else repr(str(url)[:80])  # it may have a password
        sentence = f"Invalid address of the service (found: {shown}). Expected a url such as http://127.0.0.1:8000."
        raise InvalidArgument(sentence)
    return found.copy_with(query=None, fragment=None)


def _key_header(key: str, url: httpx.URL) -> dict[str, str]:
    """Return the header of the key. User name and password of the url need `Authorization` for a proxy."""
    if not key:
        return {}
    return {"X-API-Key": key} if url.userinfo else {"Authorization": f"Bearer {key}"}


def _check_key(key: str | None) -> str:
    found = (key or "").strip()  # a key read from a file often ends with a line break
    if not (found.isascii() and found.isprintable()):
        raise InvalidArgument("The API key contains invalid characters. (The key is not shown.)")
    return found
