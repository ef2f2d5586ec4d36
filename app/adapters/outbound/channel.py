"""Connection whose every wait ends at one deadline."""

import io
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from typing import cast

from app.domain.delivery.addresses import Address
from app.domain.errors import NoAnswer

#: Opens a connection to an address and a port within a number of seconds. Raises `OSError`.
Connect = Callable[[Address, int, float], socket.socket]

#: Bytes of the head of an answer at most, and of what is read ahead of its body.
HEAD_BYTES = 64 * 1024
#: Addresses of one name that are tried.
_ADDRESSES = 4


def connect(address: Address, port: int, seconds: float) -> socket.socket:
    """Connect over TCP."""
    return socket.create_connection((str(address), port), seconds)


class HeadTooLarge(OSError):
    """The head of an answer is larger than `HEAD_BYTES`."""


class Channel:
    """The part of a socket that `http.client` uses. `deadline` can be moved, in seconds of `time.monotonic`."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.deadline = deadline
        self.head_left: int | None = HEAD_BYTES
        self._socket = sock

    def sendall(self, data: bytes) -> None:
        """Send all bytes before the deadline."""
        view = memoryview(data)
        while view:
            self.wait()
            view = view[self._socket.send(view) :]

    def receive_into(self, buffer: memoryview) -> int:
        """Receive bytes before the deadline. Raises `HeadTooLarge` until `head_ends` is called."""
        if self.head_left is not None and self.head_left <= 0:
            raise HeadTooLarge
        self.wait()
        received = self._socket.recv_into(buffer)
        if self.head_left is not None:
            self.head_left -= received
        return received

    def head_ends(self) -> None:
        """Note that what follows is the body."""
        self.head_left = None

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a reader. `http.client` asks for a binary one."""
        if mode != "rb":
            raise ValueError(mode)
        return io.BufferedReader(_Received(self))

    def close(self) -> None:
        """Do nothing: the answer is read after `http.client` has closed its socket. `open_connection` closes it."""

    def wait(self) -> None:
        """Let the next call of the socket wait until the deadline. Raises `TimeoutError` after it."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


class _Received(io.RawIOBase):
    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._channel.receive_into(cast("memoryview", buffer))


def open_socket(addresses: Sequence[Address], port: int, deadline: float, connect: Connect) -> socket.socket:
    """Connect to one of the addresses. Raises `NoAnswer`."""
    tried = addresses[:_ADDRESSES]
    for number, address in enumerate(tried):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return connect(address, port, left / (len(tried) - number))
        except TimeoutError:
            continue
        except OSError:
            if number == len(tried) - 1:
                raise NoAnswer("connection", "the connection was refused or failed") from None
    raise NoAnswer("timeout", "no connection in time")


def start_tls(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: float) -> ssl.SSLSocket:
    """Begin TLS and verify the certificate for the host. Raises `NoAnswer`."""
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        return context.wrap_socket(sock, server_hostname=host)
    except TimeoutError:
        raise NoAnswer("timeout", "no TLS connection in time") from None
    except ssl.SSLCertVerificationError as error:
        raise NoAnswer("tls", f"the certificate is not valid: {error.verify_message}") from None
    except (OSError, ValueError):  # ValueError: a host that cannot be in a certificate
        raise NoAnswer("tls", "no TLS connection") from None


class ChannelConnection(HTTPConnection):
    """`HTTPConnection` over a channel that is open."""

    def __init__(self, channel: Channel, host: str, port: int) -> None:
        super().__init__(host, port)
        self.sock = cast("socket.socket", channel)  # it has what `http.client` calls

    def connect(self) -> None:
        """Raise an error: this connection has one exchange."""
        raise ConnectionResetError
