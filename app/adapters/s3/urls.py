"""Presigned urls of originals and variants in the bucket."""

from urllib.parse import quote

from app.adapters.s3.presign import LIFE, Presigner
from app.domain.keys import original_key, variant_key
from app.domain.models import Image, Variant
from app.domain.uploads.filenames import attachment


class PresignedUrls:
    """`UrlSource` by presigned GETs, or by the CDN for variants if there is one."""

    def __init__(self, presigner: Presigner, cdn_url: str | None = None) -> None:
        self._presigner = presigner
        self._cdn_url = cdn_url

    @property
    def edition(self) -> str:
        """See `UrlSource.edition`."""
        return "" if self._cdn_url else f"{self._presigner.window():x}"

    def variant(self, image: Image, variant: Variant) -> str:
        """See `UrlSource.variant`."""
        key = variant_key(image.id, image.rendering_id or "-", variant.file)
        if self._cdn_url:
            return f"{self._cdn_url}/{quote(key)}"
        return self._presigner.get(
            key,
            {
                "response-content-type": variant.format.media_type,
                "response-cache-control": f"private, max-age={LIFE}",
            },
        )

    def original(self, image: Image) -> str:
        """See `UrlSource.original`."""
        return self._presigner.get(
            original_key(image.id),
            {
                "response-content-type": image.content_type,
                "response-content-disposition": attachment(image.filename),
                "response-cache-control": "private",
            },
        )
