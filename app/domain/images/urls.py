"""Where the bytes of an image can be fetched, by anyone who was given the url."""

from typing import Protocol
from urllib.parse import quote, urlencode

from app.domain.access.signing import Signer
from app.domain.errors import Forbidden
from app.domain.keys import original_key, variant_key
from app.domain.models import Image, Variant, utcnow
from app.domain.times import CLOCK_SLACK

#: Seconds that a signed url of the embedded server is good for at least; at most it is twice that.
FILE_LIFE = 15 * 60


class UrlSource(Protocol):
    """Makes urls that hold the bytes themselves, usable as they stand."""

    @property
    def edition(self) -> str:
        """Changes whenever the urls of an unchanged variant do; empty where they never do."""

    def variant(self, image: Image, variant: Variant) -> str:
        """The url of a variant, shown inline."""

    def original(self, image: Image) -> str:
        """The url of the original, saved under its display name and never shown inline."""


class FileSeal:
    """Signatures on the urls of the embedded server's files.

    A url lasts until the end of the next quarter of an hour, so that it stays the same for a while and browsers can
    keep what they have fetched.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def window(self) -> int:
        """The number of the present quarter of an hour: a new one, new urls."""
        return int(utcnow().timestamp()) // FILE_LIFE

    def query(self, key: str) -> str:
        """What follows the `?` in the url of this key."""
        expires = (self.window() + 2) * FILE_LIFE
        return urlencode({"expires": expires, "signature": self._signer.sign("file", _sealed(key, str(expires)))})

    def check(self, key: str, expires: str, signature: str) -> int:
        """Return for how many seconds the url stays valid. Raises `Forbidden` for a url that was altered or has
        expired, and for one that expires later than any url can: it was signed before the clock was set back."""
        good = expires.isascii() and expires.isdigit() and len(expires) < 12
        if not good or not self._signer.is_good("file", _sealed(key, expires), signature):
            raise Forbidden("bad_signature", "The url is not as it was given: ask for the record again.")
        left = int(expires) - int(utcnow().timestamp())
        if not 0 < left <= 2 * FILE_LIFE + CLOCK_SLACK.total_seconds():
            raise Forbidden("url_expired", "The url has expired: ask for the record again.")
        return left


class ServedFiles:
    """Urls of the embedded server's own `/files/`, absolute when the service knows its public address."""

    def __init__(self, public_url: str | None = None, seal: FileSeal | None = None) -> None:
        self._base = f"{(public_url or '').rstrip('/')}/files/"
        self._seal = seal

    @property
    def edition(self) -> str:
        """See `UrlSource.edition`."""
        return f"{self._seal.window():x}" if self._seal else ""

    def variant(self, image: Image, variant: Variant) -> str:
        """See `UrlSource.variant`."""
        return self._url(variant_key(image.id, image.rendering_id or "-", variant.file))

    def original(self, image: Image) -> str:
        """See `UrlSource.original`."""
        return self._url(original_key(image.id))

    def _url(self, key: str) -> str:
        return self._base + quote(key) + (f"?{self._seal.query(key)}" if self._seal else "")


def _sealed(key: str, expires: str) -> str:
    return f"{key}\n{expires}"
