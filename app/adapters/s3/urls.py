"""Presigned urls of originals and variants in the bucket, and urls of a CDN in front of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from app.adapters.s3.presign import Presigner
from app.domain.images.urls import PageSizes, PlacedImage, VariantFile, is_public, shown_key
from app.domain.keys import original_key, size_key
from app.domain.models import Image, Visibility
from app.domain.uploads.filenames import attachment


class PresignedUrls:
    """`UrlSource` by presigned urls, each valid for one method.

    Variants of public images have urls of the CDN if there is one.
    """

    def __init__(
        self, presigner: Presigner, cdn_url: str | None = None, *, page_sizes: PageSizes | None = None
    ) -> None:
        self._presigner = presigner
        self._cdn_url = cdn_url
        self.page_sizes = page_sizes

    def variant(self, image: PlacedImage, variant: VariantFile, method: str = "GET") -> str:
        """See `UrlSource.variant`."""
        key = shown_key(image, variant)
        if self._cdn_url and is_public(image):
            return f"{self._cdn_url}/{quote(key)}"
        return self._presigner.sign(
            method,
            key,
            {
                "response-content-type": variant.format.media_type,
                "response-cache-control": f"private, max-age={self._presigner.seconds}",
            },
        )

    def variants(self, image: PlacedImage, variants: Sequence[VariantFile]) -> Sequence[str]:
        """See `UrlSource.variants`."""
        return [self.variant(image, each) for each in variants]

    def original(self, image: Image, method: str = "GET") -> str:
        """See `UrlSource.original`."""
        return self._presigner.sign(
            method,
            original_key(image.id),
            {
                "response-content-type": image.content_type,
                "response-content-disposition": attachment(image.filename),
                "response-cache-control": "private",
            },
        )

    def size(self, image: PlacedImage, name: str, method: str = "GET") -> str:
        """See `UrlSource.size`. The type is that of the object, because the name does not always tell it."""
        public = image.effective_visibility is Visibility.PUBLIC
        key = size_key(image.id, name, public=public)
        if self._cdn_url and public:
            return f"{self._cdn_url}/{quote(key)}"
        return self._presigner.sign(
            method, key, {"response-cache-control": f"private, max-age={self._presigner.seconds}"}
        )

    def expires_at(self, image: PlacedImage) -> datetime | None:
        """See `UrlSource.expires_at`. The credentials of a role can end earlier, and the url with them."""
        if self._cdn_url and is_public(image):
            return None
        return datetime.fromtimestamp(self._presigner.expires(), UTC)

    def edition(self, image: PlacedImage) -> str:
        """See `UrlSource.edition`."""
        return "" if is_public(image) else f"{self._presigner.expires():x}"

    def signatures(self) -> str:
        """See `UrlSource.signatures`."""
        return self._presigner.edition()
