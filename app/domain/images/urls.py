"""Urls of originals and variants, usable by anyone who has them."""

from typing import Protocol
from urllib.parse import quote, urlencode

from app.domain.access.signing import Signer
from app.domain.errors import Forbidden
from app.domain.keys import original_key, variant_key
from app.domain.models import Image, Variant, utcnow
from app.domain.times import CLOCK_SLACK

#: Default of the maximum lifetime of a signed url, in seconds.
SIGNED_URL_SECONDS = 3600
#: Minimum lifetime of a signed url of the self-hosted server in seconds; the maximum is twice that.
FILE_LIFE = 15 * 60


class UrlSource(Protocol):
    """Source of urls that lead directly to the bytes."""

    @property
    def edition(self) -> str:
        """A text that changes whenever the urls of an unchanged variant change; empty if they never do."""

    def variant(self, image: Image, variant: Variant) -> str:
        """Return the url of a variant, to be shown inline."""

    def original(self, image: Image) -> str:
        """Return the url of the original, to be saved under its display name and never shown inline."""


class FileSeal:
    """Signatures of the self-hosted server's file urls.

    A url is valid until the end of the next quarter of an hour. It stays the same within a quarter of an hour, so that
    browsers can cache it.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def window(self) -> int:
        """Return the number of the current quarter of an hour. Urls change with it."""
        return int(utcnow().timestamp()) // FILE_LIFE

    def query(self, key: str) -> str:
        """Build the query of the url of this key."""
        expires = (self.window() + 2) * FILE_LIFE
        return urlencode({"expires": expires, "signature": self._signer.sign("file", _sealed(key, str(expires)))})

    def check(self, key: str, expires: str, signature: str) -> int:
        """Return for how many seconds the url stays valid. Raises `Forbidden` for a url that was altered or has
        expired, and for one that expires later than any url can: it was signed before the clock was set back."""
        good = expires.isascii() and expires.isdigit() and len(expires) < 12
        if not good or not self._signer.verify("file", _sealed(key, expires), signature):
            raise Forbidden("bad_signature", "Invalid signature of the url. Get a new url from the image's record.")
        left = int(expires) - int(utcnow().timestamp())
        if not 0 < left <= 2 * FILE_LIFE + CLOCK_SLACK.total_seconds():
            raise Forbidden("url_expired", "The url has expired. Get a new url from the image's record.")
        return left


class ServedFiles:
    """Urls below `/files/` of the self-hosted server, absolute if `public_url` is set."""

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
