"""Signatures of urls of files."""

import time
from collections.abc import Callable

from app.domain.access.signing import Signer
from app.domain.errors import Forbidden
from app.domain.times import CLOCK_SLACK

#: Default of the maximum lifetime of a signed url, in seconds.
SIGNED_URL_SECONDS = 3600


class FileSeal:
    """Signatures of the self-hosted server's file urls.

    A url is valid for `seconds` at most and half of that at least. Within that half a file keeps its url, so that
    browsers can cache it.
    """

    def __init__(
        self, signer: Signer, seconds: int = SIGNED_URL_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._signer = signer
        self._seconds = seconds
        self._clock = clock

    def expires(self) -> int:
        """Return the time at which urls that are built now expire, in seconds since 1970."""
        window = self._seconds // 2
        return int(self._clock()) // window * window + self._seconds

    def edition(self) -> str:
        """Return a text that changes with the signatures."""
        return f"{self.expires():x}.{self._signer.key_id}"

    def query(self, key: str) -> str:
        """Build the query of the url of this key."""
        expires = self.expires()
        return f"expires={expires}&signature={self._signer.sign('file', _sealed(key, str(expires)))}"

    def check(self, key: str, expires: str, signature: str) -> int:
        """Return for how many seconds the url stays valid. Raises `Forbidden` for a url that was altered or has
        expired, and for one that expires later than any url can: it was signed before the clock was set back, or
        before `seconds` was lowered."""
        good = expires.isascii() and expires.isdigit() and len(expires) < 12
        if not good or not self._signer.verify("file", _sealed(key, expires), signature):
            raise Forbidden("bad_signature", "Invalid signature of the url. Get a new url from the image's record.")
        left = int(expires) - int(self._clock())
        if not 0 < left <= self._seconds + CLOCK_SLACK.total_seconds():
            raise Forbidden("url_expired", "The url has expired. Get a new url from the image's record.")
        return left


def _sealed(key: str, expires: str) -> str:
    return f"{key}\n{expires}"
