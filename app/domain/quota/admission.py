"""Quotas: how much an owner may store.

The bytes of originals count, and the number of images. Images in the trash and open upload tickets count too, because
their bytes are stored or may arrive; variants do not.
"""

from app.domain.errors import OverQuota, RequestError, StorageFull
from app.domain.models import Image
from app.domain.ports import ImageRepository
from app.domain.quota.usage import Quota, Usage


def create_within(
    images: ImageRepository, image: Image, quota: Quota, *, claim: bool, replaces: str | None = None
) -> None:
    """Write a new record like `ImageRepository.create`. Raises `StorageFull` if it does not fit into the quota."""
    try:
        images.create(image, claim=claim, replaces=replaces, quota=quota)
    except OverQuota as over:
        raise _refused(image, over.usage, quota) from None


def _refused(image: Image, usage: Usage, quota: Quota) -> RequestError:
    if quota.images is not None and usage.images >= quota.images:
        detail = (
            f"The owner has {usage.images:,} images and upload tickets. The quota is {quota.images:,}. Delete images "
            "permanently, also those in the trash, then try again."
        )
        return StorageFull("quota_exceeded", detail, used_images=usage.images, limit_images=quota.images)
    limit = quota.bytes or 0
    detail = (
        f"The image has {image.bytes:,} bytes. The owner uses {usage.bytes:,} bytes. The quota is {limit:,}. Delete "
        "images permanently, also those in the trash, then try again."
    )
    return StorageFull("quota_exceeded", detail, used_bytes=usage.bytes, limit_bytes=limit, image_bytes=image.bytes)
