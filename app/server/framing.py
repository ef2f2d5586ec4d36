"""h11's connection with limits on size and framing.

Checked against h11 0.16. It uses the private receive buffer.
"""

import re
from typing import Any

import h11

from app.domain.errors import RequestError
from app.server import refusals
from app.server.refusals import HEAD_BYTES, HEAD_FIELDS

#: Chunk sizes, chunk extensions and trailers may exceed the data that they carry by this many bytes.
EXTRA_FRAMING_BYTES = 64 * 1024

_END_OF_HEAD = re.compile(rb"\n\r?\n")


class Connection(h11.Connection):
    """Server side of a connection.

    Instead of raising `RemoteProtocolError` it sets `refusal`, and returns no further event.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES)
        self.refusal: RequestError | None = None
        self.chunked = False
        self.chunk_bytes = 0  # of the last piece of data
        self._skipped_line = False
        self._received = 0
        self._body_starts = 0
        self._data = 0

    @property
    def head_begun(self) -> bool:
        """True while a request head is incomplete."""
        return self.their_state is h11.IDLE and bool(self._receive_buffer)

    def receive_data(self, data: bytes) -> None:
        """Add received bytes, or those of any buffer, which are copied."""
        self._received += len(data)
        super().receive_data(data)

    def next_event(self) -> Any:
        """Return the next event; `NEED_DATA` from the first refusal on."""
        if self.refusal is not None:
            return h11.NEED_DATA
        in_head = self.their_state is h11.IDLE
        head = self._check_head() if in_head else b""
        if self.refusal is not None or head == b"\r":
            return h11.NEED_DATA
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.refusal = refusals.bad_head(error, head) if in_head else refusals.bad_body(error)
            return h11.NEED_DATA
        if isinstance(event, h11.Request):
            self._check_request(event)
        elif self.chunked and not in_head:
            self._check_framing(event)
        return event if self.refusal is None else h11.NEED_DATA

    def _check_head(self) -> bytes:
        """Return the received part of the request head."""
        if not self._receive_buffer:
            return b""
        head, _ = self.trailing_data
        if head.startswith(b"\r\n") and not self._skipped_line:
            # Some clients send an empty line after a body (RFC 9112 section 2.2).
            self._receive_buffer.maybe_extract_at_most(2)
            self._skipped_line = True
            head = head[2:]
        end = _END_OF_HEAD.search(head, 0, HEAD_BYTES)
        if end is None and len(head) >= HEAD_BYTES:
            self.refusal = refusals.head_too_large(head)
        elif end is not None and (fields := head.count(b"\n", 0, end.start())) > HEAD_FIELDS:
            self.refusal = refusals.too_many_fields(fields)
        return head

    def _check_request(self, request: h11.Request) -> None:
        names = {name for name, _ in request.headers}
        self.chunked = b"transfer-encoding" in names
        self._body_starts = self._received - len(self._receive_buffer)
        self._data = 0
        self.chunk_bytes = 0
        self._skipped_line = False
        if not request.http_version.startswith(b"1."):
            self.refusal = refusals.unsupported_version(request.http_version.decode("ascii"))
        elif self.chunked and b"content-length" in names:
            self.refusal = refusals.ambiguous_framing("Content-Length")
        elif self.chunked and request.http_version == b"1.0":
            self.refusal = refusals.ambiguous_framing("HTTP/1.0")

    def _check_framing(self, event: object) -> None:
        if isinstance(event, h11.Data):
            self.chunk_bytes = len(event.data)
            self._data += self.chunk_bytes
        framing = self._received - len(self._receive_buffer) - self._body_starts - self._data
        if framing > self._data + EXTRA_FRAMING_BYTES:
            self.refusal = refusals.too_much_framing(framing, self._data)
