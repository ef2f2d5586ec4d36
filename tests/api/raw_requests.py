"""Requests as bytes on a socket, and their responses."""

import json
import re
import socket
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Response; its header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """Problem document of the response."""
        assert self.headers["content-type"] == "application/problem+json", self
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["request_id"] == self.headers["x-request-id"]
        return document


def read_all(sock: socket.socket) -> bytes:
    """Read until the server closes its side."""
    answer = b""
    while piece := sock.recv(65536):
        answer += piece
    return answer


def answers_in(raw: bytes) -> list[Answer]:
    """Parse the responses, each of which must have a length."""
    found = []
    while raw:
        head, blank, raw = raw.partition(b"\r\n\r\n")
        assert blank, head
        first, *lines = head.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)
        assert status, first
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if status[1] == "100":
            continue
        length = int(headers.get("content-length", 0))
        found.append(Answer(int(status[1]), headers, raw[:length]))
        raw = raw[length:]
    return found


def exchange(port: int, *pieces: bytes, half_close: bool = False) -> list[Answer]:
    """Send the pieces on a new connection; return the responses until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for piece in pieces:
            sock.sendall(piece)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return answers_in(read_all(sock))
