"""Requests of a connection: heads and chunked bodies by h11, with limits, and other bodies around it.

h11 and uvicorn together copy a body five times. Bodies of a known length are counted here, and copied once.
"""

import re
from collections import deque
from typing import Any, cast

import h11

from app.domain.errors import RequestError
from app.server import refusals
from app.server.refusals import HEAD_BYTES, HEAD_FIELDS

#: Chunk sizes, chunk extensions and trailers may exceed the data that they carry by this many bytes.
EXTRA_FRAMING_BYTES = 64 * 1024

_END_OF_HEAD = re.compile(rb"\n\r?\n")


class Connection:
    """Server side of a connection, with those members of `h11.Connection` that uvicorn uses.

    Instead of raising `RemoteProtocolError` it sets `refusal`, and returns no further event. Each request has an
    `h11.Connection` of its own, because one that has not seen the end of a body cannot continue.
    """

    def __init__(self) -> None:
        self.refusal: RequestError | None = None
        self._begin()

    def _begin(self) -> None:
        self._h11 = h11.Connection(h11.SERVER, HEAD_BYTES)
        self._unsent_head = b""  # of the response
        self._before_head = b""  # a part of an empty line
        self._skipped_line = False
        self._received = 0  # by h11
        #: Body of the current request, if its length is known and not zero.
        self.body: KnownBody | None = None
        self.chunked = False
        self.chunk_bytes = 0  # of the last piece of data
        self._body_starts = 0
        self._data = 0

    @property
    def our_state(self) -> Any:
        """State of the response. See `h11.Connection`."""
        return self._h11.our_state

    @property
    def their_state(self) -> Any:
        """State of the request. See `h11.Connection`."""
        return h11.DONE if self.body is not None and self.body.ended else self._h11.their_state

    @property
    def they_are_waiting_for_100_continue(self) -> bool:
        """See `h11.Connection`."""
        return self._h11.they_are_waiting_for_100_continue

    @property
    def head_begun(self) -> bool:
        """True while a request head is incomplete."""
        return self.their_state is h11.IDLE and bool(self._received or self._before_head)

    def send(self, event: h11.Event) -> bytes | None:
        """See `h11.Connection`. Hold the head of a response until the first part of its body: uvicorn writes each
        returned value at once, and one write for both takes less time than two.
        """
        output = self._h11.send(event)
        if isinstance(event, h11.Response):
            self._unsent_head = output or b""
            return b""
        if self._unsent_head:
            output, self._unsent_head = self._unsent_head + (output or b""), b""
        return output

    def start_next_cycle(self) -> None:
        """See `h11.Connection`."""
        received = self._h11.trailing_data[0] if self.body is None else self.body.following
        self._begin()
        if received:
            self.receive_data(received)

    def receive_data(self, data: bytes | memoryview) -> None:
        """Add received bytes, or those of any buffer, which are copied."""
        if self.body is not None:
            self.body.receive(data)
        elif self._received or (data := self._skip_line(data)):
            self._received += len(data)
            self._h11.receive_data(cast("bytes", data))

    def next_event(self) -> Any:
        """Return the next event; `NEED_DATA` from the first refusal on."""
        if self.refusal is not None:
            return h11.NEED_DATA
        if self.body is not None:
            return self.body.next_event()
        in_head = self._h11.their_state is h11.IDLE
        head = b""
        if in_head:
            if not self._received:
                return h11.NEED_DATA
            head = self._h11.trailing_data[0]
            self.refusal = _check_head(head)
            if self.refusal is not None:
                return h11.NEED_DATA
        try:
            event = self._h11.next_event()
        except h11.RemoteProtocolError as error:
            self.refusal = refusals.bad_head(error, head) if in_head else refusals.bad_body(error)
            return h11.NEED_DATA
        if isinstance(event, h11.Request):
            self._check_request(event)
        elif self.chunked and not in_head:
            self._check_framing(event)
        return event if self.refusal is None else h11.NEED_DATA

    def _skip_line(self, data: bytes | memoryview) -> bytes:
        """Return the begin of a request without an empty line, which some clients send after a body (RFC 9112 section
        2.2)."""
        begin = self._before_head + data
        self._before_head = b""
        if self._skipped_line:
            return begin
        if begin == b"\r":
            self._before_head = begin
            return b""
        self._skipped_line = begin.startswith(b"\r\n")
        return begin[2:] if self._skipped_line else begin

    def _check_request(self, request: h11.Request) -> None:
        headers = dict(request.headers)
        self.chunked = b"transfer-encoding" in headers
        if not request.http_version.startswith(b"1."):
            self.refusal = refusals.unsupported_version(request.http_version.decode("ascii"))
        elif self.chunked and b"content-length" in headers:
            self.refusal = refusals.ambiguous_framing("Content-Length")
        elif self.chunked and request.http_version == b"1.0":
            self.refusal = refusals.ambiguous_framing("HTTP/1.0")
        begin, _ = self._h11.trailing_data
        self._body_starts = self._received - len(begin)
        if not self.chunked and (size := int(headers.get(b"content-length", b"0"))):
            self.body = KnownBody(size)
            self.body.receive(begin)

    def _check_framing(self, event: object) -> None:
        if isinstance(event, h11.Data):
            self.chunk_bytes = len(event.data)
            self._data += self.chunk_bytes
        framing = self._received - len(self._h11.trailing_data[0]) - self._body_starts - self._data
        if framing > self._data + EXTRA_FRAMING_BYTES:
            self.refusal = refusals.too_much_framing(framing, self._data)


def _check_head(head: bytes) -> RequestError | None:
    """Check the received part of a request head."""
    end = _END_OF_HEAD.search(head, 0, HEAD_BYTES)
    if end is None:
        return refusals.head_too_large(head) if len(head) >= HEAD_BYTES else None
    fields = head.count(b"\n", 0, end.start())
    return refusals.too_many_fields(fields) if fields > HEAD_FIELDS else None


class KnownBody:
    """Body of a known length: its pieces that wait for the application, and the bytes behind it."""

    def __init__(self, size: int) -> None:
        self.left = size  # bytes to come
        self.waiting = 0  # bytes
        self.following = b""
        self.ended = False
        self._pieces: deque[bytes] = deque()

    def receive(self, data: bytes | memoryview) -> None:
        """Add received bytes, which are copied."""
        if piece := bytes(data[: self.left]):
            self._pieces.append(piece)
            self.waiting += len(piece)
            self.left -= len(piece)
        if len(piece) < len(data):
            self.following += bytes(data[len(piece) :])

    def take(self) -> bytes:
        """Return the next piece; empty if none has been received."""
        piece = self._pieces.popleft() if self._pieces else b""
        self.waiting -= len(piece)
        return piece

    def discard(self) -> None:
        """Discard the pieces."""
        self._pieces.clear()
        self.waiting = 0

    def next_event(self) -> Any:
        """See `Connection.next_event`. There is no event for data."""
        if not self.left and not self.ended:
            self.ended = True
            return h11.EndOfMessage()
        return h11.PAUSED if self.following else h11.NEED_DATA
