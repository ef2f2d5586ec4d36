"""Bounds of the server: time-outs, and how many connections and requests there may be at once."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

if TYPE_CHECKING:
    from app.server.protocol import Protocol

#: Descriptors for everything but connections: the database, the log, the worker's pipe, threads that write files.
RESERVED_DESCRIPTORS = 256
#: A connection has one. A request has another one: the file that it sends or receives.
DESCRIPTORS_PER_REQUEST = 2
#: More than are needed, and few enough for programs that walk over all of them. The second is for macOS.
_WANTED_DESCRIPTORS = (65536, 10240)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one client, and all of them together, can hold.

    A request head has to be complete within `head_seconds` of its first byte, or of the connection. A client that
    reads less than `stall_bytes` of a waiting answer in `stall_seconds` is disconnected. After a refusal, input is
    discarded for `linger_seconds`: closing at once would reset the connection before the client has read the answer
    (RFC 9112 section 9.6). `keep_alive_seconds` is longer than the 60 seconds after which nginx and AWS load balancers
    drop an idle connection: a server that closes first makes them lose requests.
    """

    head_seconds: float = 30
    stall_seconds: float = 30
    stall_bytes: int = 30 * 1024
    linger_seconds: float = 2
    keep_alive_seconds: int = 75
    most_requests: int = 2048


class State(ServerState):
    """The connections of a server.

    `most_requests` bounds the requests in progress: further ones are answered 503. There may be as many connections
    besides: a further one takes the place of the connection that has waited longest for a request.
    """

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds
        self.most_connections = 2 * bounds.most_requests
        #: Connections without a request, longest wait first.
        self.waiting: dict[Protocol, None] = {}
        #: Shared by all connections: what was read is copied out of it at once.
        self.buffer = memoryview(bytearray(256 * 1024))

    @property
    def overloaded(self) -> bool:
        """True while more requests are in progress than allowed."""
        return len(self.connections) - len(self.waiting) > self.bounds.most_requests


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors towards the hard limit. Return the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED_DESCRIPTORS[0]
    for wanted in _WANTED_DESCRIPTORS:
        target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if target <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):  # macOS refuses more than its own limit, whatever the hard limit is
            continue
        return target
    return soft


def bounds_for(descriptors: int) -> Bounds:
    """Return the bounds for a process that may have so many descriptors."""
    spare = (descriptors - RESERVED_DESCRIPTORS) // (DESCRIPTORS_PER_REQUEST + 1)
    return Bounds(most_requests=max(16, min(spare, Bounds.most_requests)))
