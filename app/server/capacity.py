"""Limits of the server: time-outs, and numbers of connections and requests."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

if TYPE_CHECKING:
    from app.server.protocol import Protocol

#: File descriptors reserved for the database, the log, the worker's pipe and threads that write files.
RESERVED_DESCRIPTORS = 256
#: One for the connection, one for the file that a request sends or receives.
DESCRIPTORS_PER_REQUEST = 2
#: Bytes that are read from a connection at once, at most.
MOST_READ = 512 * 1024
#: Enough, and few enough for programs that iterate over all descriptors. The second value is for macOS.
_WANTED_DESCRIPTORS = (65536, 10240)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits for one client, and for all of them together.

    A request head must be complete within `head_seconds` of its first byte, or of the connection. A client that reads
    less than `stall_bytes` of a waiting response in `stall_seconds` is disconnected. After a refusal, input is
    discarded for `linger_seconds`: closing immediately would reset the connection before the client has read the
    response (RFC 9112 section 9.6). `keep_alive_seconds` is longer than the 60 seconds after which nginx and AWS load
    balancers drop an idle connection: a server that closes first makes them lose requests.
    """

    head_seconds: float = 30
    stall_seconds: float = 30
    stall_bytes: int = 30 * 1024
    linger_seconds: float = 2
    keep_alive_seconds: int = 75
    most_requests: int = 2048


class State(ServerState):
    """Connections of a server.

    `most_requests` limits the requests in progress; others are answered 503. The same number of connections may be
    idle; one more replaces the connection that has been idle longest.
    """

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds
        self.most_connections = 2 * bounds.most_requests
        #: Idle connections, longest idle first.
        self.waiting: dict[Protocol, None] = {}
        #: Shared by all connections: received bytes are copied out of it immediately.
        self.buffer = memoryview(bytearray(MOST_READ))

    @property
    def overloaded(self) -> bool:
        """True while more requests are in progress than allowed."""
        return self.in_progress > self.bounds.most_requests

    @property
    def in_progress(self) -> int:
        """Requests in progress."""
        return len(self.connections) - len(self.waiting)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open file descriptors towards the hard limit. Return the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED_DESCRIPTORS[0]
    for wanted in _WANTED_DESCRIPTORS:
        target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if target <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):  # macOS refuses more than its own limit, even below the hard limit
            continue
        return target
    return soft


def bounds_for(descriptors: int) -> Bounds:
    """Return the limits for a process with this number of file descriptors."""
    spare = (descriptors - RESERVED_DESCRIPTORS) // (DESCRIPTORS_PER_REQUEST + 1)
    return Bounds(most_requests=max(16, min(spare, Bounds.most_requests)))
