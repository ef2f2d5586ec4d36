"""Look up and list images."""

from collections.abc import Collection, Mapping, Sequence

from app.domain.errors import Conflict, NotFound
from app.domain.ids import is_id
from app.domain.media import UNKNOWN_TYPE
from app.domain.models import FailureCode, Image, Status, Variant, is_open_ticket
from app.domain.ports import ImageRepository, ListQuery, Page

_NEVER_SERVED = frozenset({FailureCode.NOT_AN_IMAGE, FailureCode.UNSUPPORTED_IMAGE})


class Images:
    """Reads stored images. For a caller, images of other owners do not exist."""

    def __init__(self, images: ImageRepository) -> None:
        self._images = images

    def get(self, owner: str | None, image_id: str) -> Image:
        """Return an image of the owner, or of any owner for None. Raises `NotFound` for every other id."""
        found = self._images.get(image_id) if is_id(image_id) else None
        if not isinstance(found, Image) or owner not in {None, found.owner}:
            raise NotFound("image_not_found", "There is no image with this id.")
        return found

    def versions(self, image_ids: Collection[str]) -> Mapping[str, int]:
        """Return the versions of those records that exist, of any owner."""
        return self._images.versions(image_ids)

    def list(self, query: ListQuery) -> Page:
        """Return one page of the owner's images."""
        return self._images.list(query)

    def original(self, owner: str | None, image_id: str) -> Image:
        """Return the image if its original can be downloaded. Raises `Conflict` until the bytes of a ticket have
        arrived and been processed, and if they are not an image: unchecked bytes are never served."""
        image = self.get(owner, image_id)
        if image.upload_expires_at is not None:
            why = "Its bytes have not arrived yet." if is_open_ticket(image) else "The image is not processed yet."
            raise Conflict("not_ready", why, status_of_image=image.status)
        unknown = image.content_type == UNKNOWN_TYPE
        if unknown or (image.error is not None and image.error.code in _NEVER_SERVED):
            why = image.error.detail if image.error else "Its bytes have not been checked yet."
            raise Conflict("not_served", f"The original is not served: {why}")
        return image

    def variants(self, owner: str | None, image_id: str, name: str) -> tuple[Image, Sequence[Variant]]:
        """Return the image and its variants of that name, one per format. Raises `Conflict` if it is not ready."""
        image = self.get(owner, image_id)
        if image.status is not Status.READY:
            why = f": {image.error.detail}" if image.error else "."
            raise Conflict("not_ready", f"The image is {image.status}{why}", status_of_image=image.status)
        named = [variant for variant in image.variants if variant.name == name]
        if not named:
            names = sorted({variant.name for variant in image.variants})
            raise NotFound("variant_not_found", f"The image has no variant {name[:40]!a}.", variants=names)
        return image, named
