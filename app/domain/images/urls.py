"""Urls of originals and variants, usable by anyone who has them."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote, urlencode

from app.domain.access.signing import Signer
from app.domain.errors import Forbidden
from app.domain.keys import original_key, variant_key
from app.domain.models import Format, Image, Visibility
from app.domain.times import CLOCK_SLACK

#: Default of the maximum lifetime of a signed url, in seconds.
SIGNED_URL_SECONDS = 3600


class VariantFile(Protocol):
    """Variant, validated or not, with the fields that its url depends on."""

    @property
    def format(self) -> Format:
        """Format of the file."""

    @property
    def file(self) -> str:
        """Name of the file."""


class PlacedImage(Protocol):
    """Image, validated or not, with the fields that urls of its variants depend on."""

    @property
    def id(self) -> str:
        """Id."""

    @property
    def rendering_id(self) -> str | None:
        """Id of the rendering of the variants."""

    @property
    def placed(self) -> Visibility:
        """Visibility of the prefix that the variants are stored under."""

    @property
    def effective_visibility(self) -> Visibility:
        """Visibility that holds at present."""


class UrlSource(Protocol):
    """Source of urls that lead directly to the bytes. `method` is that of the request: GET or HEAD."""

    def variant(self, image: PlacedImage, variant: VariantFile, method: str = "GET") -> str:
        """Return the url of a variant, to be shown inline."""

    def original(self, image: Image, method: str = "GET") -> str:
        """Return the url of the original, to be saved under its display name and never shown inline."""

    def expires_at(self, image: PlacedImage) -> datetime | None:
        """Return the time at which urls of the variants that are built now expire; None if they last."""

    def edition(self, image: PlacedImage) -> str:
        """Return a text that changes whenever the urls of unchanged variants change; empty for a public image."""

    def signatures(self) -> str:
        """Return a text that changes whenever the signature or expiry of any url changes."""


def is_public(image: PlacedImage) -> bool:
    """Return True if the variants are shown to everybody, under urls that last."""
    return image.effective_visibility is Visibility.PUBLIC and image.placed is Visibility.PUBLIC


def shown_key(image: PlacedImage, variant: VariantFile) -> str:
    """Return the key that a variant is stored under: its prefix is public or private, as `placed` says."""
    public = image.placed is Visibility.PUBLIC
    return variant_key(image.id, image.rendering_id or "-", variant.file, public=public)


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
        return urlencode({"expires": expires, "signature": self._signer.sign("file", _sealed(key, str(expires)))})

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


class ServedFiles:
    """Urls below `/files/` of the self-hosted server, absolute if `public_url` is set.

    Urls of public variants last: once their rendering is superseded, the server redirects to the current one.
    """

    def __init__(self, seal: FileSeal, public_url: str | None = None) -> None:
        self._base = f"{(public_url or '').rstrip('/')}/files/"
        self._seal = seal

    def variant(self, image: PlacedImage, variant: VariantFile, method: str = "GET") -> str:  # noqa: ARG002 - it serves both
        """See `UrlSource.variant`."""
        key = shown_key(image, variant)
        return self._base + quote(key) if is_public(image) else self._signed(key)

    def original(self, image: Image, method: str = "GET") -> str:  # noqa: ARG002 - it serves both
        """See `UrlSource.original`."""
        return self._signed(original_key(image.id))

    def expires_at(self, image: PlacedImage) -> datetime | None:
        """See `UrlSource.expires_at`."""
        return None if is_public(image) else datetime.fromtimestamp(self._seal.expires(), UTC)

    def edition(self, image: PlacedImage) -> str:
        """See `UrlSource.edition`."""
        return "" if is_public(image) else self._seal.edition()

    def signatures(self) -> str:
        """See `UrlSource.signatures`."""
        return self._seal.edition()

    def _signed(self, key: str) -> str:
        return f"{self._base}{quote(key)}?{self._seal.query(key)}"


def _sealed(key: str, expires: str) -> str:
    return f"{key}\n{expires}"
