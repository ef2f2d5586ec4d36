"""Port of requests to urls that users name: webhooks, and images to fetch."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from app.domain.errors import BadAnswer, NoAnswer, Refused

__all__ = ["Answer", "BadAnswer", "Fetched", "NoAnswer", "OutboundHttp", "Refused"]

#: Seconds that a `post` takes at most, from the look-up of the name to the head of the answer.
POST_SECONDS = 15.0
#: Redirects that a `fetch` follows at most.
MAX_REDIRECTS = 3


class Answer(NamedTuple):
    """Answer to a `post`. `retry_after` is the seconds that the server asks to wait, if it does."""

    status: int
    retry_after: float | None
    milliseconds: int


class Fetched(NamedTuple):
    """A fetched file: its bytes were written. `disposition` is the `Content-Disposition`, as it was received.

    `url` is where the file was, after redirects, and `content_type` the declared one.
    """

    url: str
    size: int
    content_type: str | None = None
    disposition: str | None = None


class OutboundHttp(Protocol):
    """Sends requests to servers on the internet, and never to a network of its own.

    A name is resolved once. If `find_refusal` refuses any of its addresses, no connection is made; otherwise one of
    them is connected to. TLS certificates are verified for the name. Proxies of the environment are not used. Cookies
    and credentials are never sent. All methods block and raise only `PortError`s:

    * `Refused`: no request is sent to this url.
    * `NoAnswer`: the name has no address, the connection or TLS failed, the deadline passed before the whole head of
      the answer came, or the answer is not HTTP or has more than 64 KiB in its head.
    """

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body and return the answer, with any status. Redirects are not followed.

        Ends within `POST_SECONDS`; the body of the answer is dropped. Raises `Refused` and `NoAnswer`.
        """

    def fetch(
        self,
        url: str,
        write: Callable[[bytes], object],
        *,
        is_host_allowed: Callable[[str], bool],
        max_bytes: int,
        seconds: float,
    ) -> Fetched:
        """Get a file and pass its bytes to `write`, piece by piece. What `write` raises ends the fetch and is raised.

        At most `MAX_REDIRECTS` redirects are followed; every url on the way is checked as the first one is, and its
        host must be allowed. The fetch ends within `seconds`.

        Raises `Refused` and `NoAnswer`, and `BadAnswer` for a status other than 200, a content encoding, more than
        `max_bytes` bytes, as soon as they are declared or received, an answer that ends early, less than 16 KiB a
        second over 30 seconds, and the deadline. Bytes may have been written before.
        """
