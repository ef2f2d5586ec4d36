"""Fetching of images from urls, for uploads."""

import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import unquote

from anyio import CapacityLimiter, to_thread

from app.api.bodies.part_headers import decode_name, read_disposition_filename
from app.api.bodies.spool import Spool
from app.api.bodies.upload import build_upload, detect_type
from app.api.http.problem_catalog import refusal
from app.domain.delivery.targets import FetchHosts, Target
from app.domain.errors import RequestError
from app.domain.limits import Limits
from app.domain.media import SNIFF_BYTES
from app.domain.ports.outbound import BadAnswer, Fetched, NoAnswer, OutboundHttp, Refused
from app.domain.uploads.descriptions import parse_media_type
from app.domain.uploads.filenames import display_name
from app.domain.uploads.requests import Upload, UrlRequest

T = TypeVar("T")

#: Fetches at the same time, in all and of one owner. Each holds a thread.
MAX_FETCHES = 16
MAX_FETCHES_OF_OWNER = 4
_RETRY_SECONDS = 5
#: Longest fetch. Proxies wait a minute for an answer.
FETCH_SECONDS = 45.0
#: Time that storing takes at most after a fetch, where a request has a deadline.
_STORING_SECONDS = 6.0


class Fetches:
    """Fetches images with `outbound` from the listed hosts, a limited number at the same time."""

    def __init__(self, outbound: OutboundHttp | None, hosts: FetchHosts) -> None:
        self._outbound = outbound
        self._hosts = hosts
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._threads = CapacityLimiter(MAX_FETCHES)

    @asynccontextmanager
    async def admit(self, owner: str) -> AsyncIterator[None]:
        """Count a fetch of this owner. Raises `fetch_disabled`, and `too_many_fetches` at a limit."""
        if self._outbound is None or self._hosts.is_empty:
            raise refusal("fetch_disabled", field="url")
        with self._lock:
            for count, limit in ((self._running.total(), MAX_FETCHES), (self._running[owner], MAX_FETCHES_OF_OWNER)):
                if count >= limit:
                    raise refusal("too_many_fetches", retry_after=_RETRY_SECONDS, limit=limit)
            self._running[owner] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[owner] -= 1
                self._running += Counter()  # drops owners without fetches

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function that fetches in a thread that only fetches use."""
        return await to_thread.run_sync(work, limiter=self._threads)

    def fetch(self, request: UrlRequest, spool: Spool, limits: Limits, seconds_left: float | None) -> Upload:
        """Fetch an image into a spool. Blocks. Raises a `RequestError` that says what is wrong with the url."""
        seconds = FETCH_SECONDS if seconds_left is None else min(FETCH_SECONDS, seconds_left - _STORING_SECONDS)
        if self._outbound is None:
            raise refusal("fetch_disabled", field="url")
        is_detected = False

        def write(piece: bytes) -> None:
            nonlocal is_detected
            spool.write(piece)
            if not is_detected and spool.size >= SNIFF_BYTES:  # a page of HTML is not read to its end
                detect_type(spool, limits)
                is_detected = True

        try:
            fetched = self._outbound.fetch(
                request.url,
                write,
                is_host_allowed=self._hosts.__contains__,
                max_bytes=limits.max_direct_bytes,
                seconds=max(0.0, seconds),
            )
        except Refused as error:
            detail = f"`url` {error.detail}."
            raise refusal("fetch_refused", detail, field="url", reason=error.reason) from None
        except NoAnswer as error:
            raise _failed(error.reason, error.detail) from None
        except BadAnswer as error:
            if error.reason == "size":
                raise refusal("too_large", f"The image at `url` is too large: {error.detail}.", **error.found) from None
            raise _failed(error.reason, error.detail, **error.found) from None
        if not spool.size:
            raise _failed("incomplete", "the answer is empty", received_bytes=0)
        return _build(request, fetched, spool, limits)


def _build(request: UrlRequest, fetched: Fetched, spool: Spool, limits: Limits) -> Upload:
    return build_upload(
        spool,
        limits,
        filename=request.filename or _file_name(request, fetched),
        declared_content_type=request.declared_content_type or parse_media_type(fetched.content_type),
        description=request.description,
        source_url=Target.parse(request.url, allow_http=True).without_query,
    )


def _file_name(request: UrlRequest, fetched: Fetched) -> str | None:
    """Return the name that the server gives, or the last part of the path."""
    named = decode_name(read_disposition_filename((fetched.disposition or "").encode("latin-1", "replace")))
    path = Target.parse(request.url, allow_http=True).path
    return display_name(named) or display_name(unquote(path.rpartition("/")[2]))


def _failed(reason: str, detail: str, **found: int | str) -> RequestError:
    shown = {("found" if name in {"status", "encoding"} else name): value for name, value in found.items()}
    sentence = f"The image at `url` could not be fetched: {detail}."
    return refusal("fetch_failed", sentence, field="url", reason=reason, **shown)
