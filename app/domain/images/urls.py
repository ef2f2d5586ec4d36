"""Urls of originals and variants, usable by anyone who has them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import quote

from app.domain.access.file_seal import FileSeal
from app.domain.keys import original_key, processed_prefix
from app.domain.models import Format, Image, Visibility


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


class PageSizes(NamedTuple):
    """Sizes on demand that markup of public images names: all `widths`, at the address of the API, or at that of a CDN
    (`cdn_url`); with `jxl` in JPEG XL too."""

    widths: tuple[int, ...]
    cdn_url: str | None = None
    jxl: bool = False


class UrlSource(Protocol):
    """Source of urls that lead directly to the bytes. `method` is that of the request: GET or HEAD."""

    @property
    def page_sizes(self) -> PageSizes | None:
        """Sizes that markup names; None to name variants."""

    def variant(self, image: PlacedImage, variant: VariantFile, method: str = "GET") -> str:
        """Return the url of a variant, to be shown inline."""

    def variants(self, image: PlacedImage, variants: Sequence[VariantFile]) -> Sequence[str]:
        """Return the urls of several variants of an image. It takes less time than one after the other."""

    def original(self, image: Image, method: str = "GET") -> str:
        """Return the url of the original, to be saved under its display name and never shown inline."""

    def size(self, image: PlacedImage, name: str, method: str = "GET") -> str | None:
        """Return the url of a stored size on demand; None if the API serves its bytes itself."""

    def expires_at(self, image: PlacedImage) -> datetime | None:
        """Return the time at which urls of the variants that are built now expire; None if they last."""

    def edition(self, image: PlacedImage) -> str:
        """Return a text that changes whenever the urls of unchanged variants change; empty for a public image."""

    def signatures(self) -> str:
        """Return a text that changes whenever the signature or expiry of any url changes."""


def is_public(image: PlacedImage) -> bool:
    """Return True if the variants are shown to everybody, under urls that last."""
    return image.effective_visibility is Visibility.PUBLIC and image.placed is Visibility.PUBLIC


def shown_prefix(image: PlacedImage) -> str:
    """Return the prefix of the keys of the variants: it is public or private, as `placed` says."""
    return processed_prefix(image.id, image.rendering_id or "-", public=image.placed is Visibility.PUBLIC)


def shown_key(image: PlacedImage, variant: VariantFile) -> str:
    """Return the key that a variant is stored under."""
    return shown_prefix(image) + variant.file


@lru_cache(maxsize=1000)
def quote_file(name: str) -> str:
    """Quote the file name of a variant. There are few: the recipe has their names."""
    return quote(name)


class ServedFiles:
    """Urls below `/files/` of the self-hosted server, absolute if `public_url` is set.

    Urls of public variants last: once their rendering is superseded, the server redirects to the current one.
    """

    def __init__(self, seal: FileSeal, public_url: str | None = None, *, page_sizes: PageSizes | None = None) -> None:
        self._base = f"{(public_url or '').rstrip('/')}/files/"
        self._seal = seal
        self.page_sizes = page_sizes

    def variant(self, image: PlacedImage, variant: VariantFile, method: str = "GET") -> str:  # noqa: ARG002 - it serves both
        """See `UrlSource.variant`."""
        return self.variants(image, [variant])[0]

    def variants(self, image: PlacedImage, variants: Sequence[VariantFile]) -> Sequence[str]:
        """See `UrlSource.variants`."""
        prefix = shown_prefix(image)
        start = self._base + quote(prefix)
        if is_public(image):
            return [start + quote_file(each.file) for each in variants]
        return [f"{start}{quote_file(each.file)}?{self._seal.query(prefix + each.file)}" for each in variants]

    def original(self, image: Image, method: str = "GET") -> str:  # noqa: ARG002 - it serves both
        """See `UrlSource.original`."""
        key = original_key(image.id)
        return f"{self._base}{quote(key)}?{self._seal.query(key)}"

    def size(self, image: PlacedImage, name: str, method: str = "GET") -> str | None:  # noqa: ARG002 - the API serves it
        """See `UrlSource.size`."""
        return None

    def expires_at(self, image: PlacedImage) -> datetime | None:
        """See `UrlSource.expires_at`."""
        return None if is_public(image) else datetime.fromtimestamp(self._seal.expires(), UTC)

    def edition(self, image: PlacedImage) -> str:
        """See `UrlSource.edition`."""
        return "" if is_public(image) else self._seal.edition()

    def signatures(self) -> str:
        """See `UrlSource.signatures`."""
        return self._seal.edition()
