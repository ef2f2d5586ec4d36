"""`OutboundHttp` on `http.client`."""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from http.client import HTTPException, HTTPResponse
from urllib.parse import urljoin

from app.adapters.outbound.answers import check_file, copy_body, retry_after
from app.adapters.outbound.channel import (
    Channel,
    ChannelConnection,
    Connect,
    HeadTooLarge,
    connect,
    open_socket,
    start_tls,
)
from app.adapters.outbound.names import Names, Resolve, resolve
from app.domain.delivery.addresses import find_refusal
from app.domain.delivery.targets import Target
from app.domain.errors import NoAnswer, Refused
from app.domain.ports.outbound import MAX_REDIRECTS, POST_SECONDS, Answer, Fetched

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Bytes of an answer to a `post` that are read, and the seconds for them. Many servers log an error otherwise.
_DROPPED_BYTES = 64 * 1024
_DROPPING_SECONDS = 1.0


class GuardedHttp:
    """See `OutboundHttp`. `version` is that of the service, in the `User-Agent`.

    With `allow_private`, addresses of private networks and of this machine are connected to, and `http:` is accepted.
    `resolve` and `connect` replace those of the system, `context` its certificates, and `post_seconds` the time of a
    `post`.
    """

    def __init__(
        self,
        version: str,
        *,
        allow_private: bool = False,
        resolve: Resolve = resolve,
        connect: Connect = connect,
        context: ssl.SSLContext | None = None,
        post_seconds: float = POST_SECONDS,
    ) -> None:
        self._headers = {"User-Agent": f"Darkroom/{version}", "Accept-Encoding": "identity", "Connection": "close"}
        self._allow_private = allow_private
        self._names = Names(resolve)
        self._connect = connect
        self._given_context = context
        self._post_seconds = post_seconds

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._given_context or ssl.create_default_context()  # reads the certificates of the system

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See `OutboundHttp.post`."""
        target = Target.parse(url, allow_http=self._allow_private)
        started = time.monotonic()
        with self._exchange("POST", target, started + self._post_seconds, headers, body) as (response, channel):
            answer = Answer(response.status, retry_after(response), round(1000 * (time.monotonic() - started)))
            channel.deadline = min(channel.deadline, time.monotonic() + _DROPPING_SECONDS)
            with suppress(OSError, HTTPException):
                response.read(_DROPPED_BYTES)
            return answer

    def fetch(
        self,
        url: str,
        write: Callable[[bytes], object],
        *,
        is_host_allowed: Callable[[str], bool],
        max_bytes: int,
        seconds: float,
    ) -> Fetched:
        """See `OutboundHttp.fetch`."""
        deadline = time.monotonic() + seconds
        for _ in range(MAX_REDIRECTS + 1):
            target = Target.parse(url, allow_http=self._allow_private)
            if not is_host_allowed(target.host):
                raise Refused("host", f"names the host {target.host}, which is not in the list of allowed hosts")
            with self._exchange("GET", target, deadline, {"Accept": "image/*, */*;q=0.1"}) as (response, channel):
                location = response.getheader("Location")
                if response.status in _REDIRECTS and location is not None:
                    url = _join(target, location)
                    continue
                check_file(response, max_bytes)
                size = copy_body(response, channel, write, max_bytes)
                return Fetched(
                    str(target), size, response.getheader("Content-Type"), response.getheader("Content-Disposition")
                )
        raise Refused("redirects", f"leads to more than {MAX_REDIRECTS} redirects")

    @contextmanager
    def _exchange(
        self, method: str, target: Target, deadline: float, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[tuple[HTTPResponse, Channel]]:
        """Send a request and yield the answer, whose head has come. Raises `Refused` and `NoAnswer`."""
        addresses = self._names.look_up(target.host, deadline)
        for address in addresses:
            why = find_refusal(address, allow_private=self._allow_private)
            if why is not None:
                raise Refused("address", "leads to an address that this service does not connect to")
        sock = open_socket(addresses, target.port, deadline, self._connect)
        try:
            if target.scheme == "https":
                sock = start_tls(sock, self._context, target.host, deadline)
            channel = Channel(sock, deadline)
            response = self._request(method, target, channel, headers, body)
            channel.head_ends()
            yield response, channel
        finally:
            sock.close()

    def _request(
        self, method: str, target: Target, channel: Channel, headers: Mapping[str, str], body: bytes | None
    ) -> HTTPResponse:
        connection = ChannelConnection(channel, target.host, target.port)
        try:
            sent = {"Host": target.authority, **self._headers, **headers}
            connection.request(method, target.request_target, body, sent)
            return connection.getresponse()
        except TimeoutError:
            raise NoAnswer("timeout", "no answer in time") from None
        except HeadTooLarge:
            raise NoAnswer("protocol", "the head of the answer is too large") from None
        except HTTPException as error:
            reason = "connection" if isinstance(error, ConnectionError) else "protocol"
            raise NoAnswer(reason, "the connection was closed without a valid answer") from None
        except OSError:
            raise NoAnswer("connection", "the connection was closed without an answer") from None


def _join(target: Target, location: str) -> str:
    try:
        return urljoin(str(target), location)
    except ValueError:
        raise Refused("url", "leads to a redirect that is not a url") from None
