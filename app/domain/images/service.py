"""Look up, list and delete images."""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from app.domain.errors import Conflict, NotFound, PortError, Stale
from app.domain.ids import is_id
from app.domain.keys import original_key, processed_prefix, variant_key
from app.domain.media import UNKNOWN_TYPE
from app.domain.models import FailureCode, Image, Status, Tombstone, Variant, is_open_ticket, utcnow
from app.domain.ports import ImageRepository, ListQuery, ObjectStore, Page

log = logging.getLogger(__name__)

TOMBSTONE_LIFE = timedelta(days=30)
_ATTEMPTS = 16
_NEVER_SERVED = frozenset({FailureCode.NOT_AN_IMAGE, FailureCode.UNSUPPORTED_IMAGE})


class Images:
    """Operations on stored images. For a caller, images of other owners do not exist."""

    def __init__(self, store: ObjectStore, images: ImageRepository) -> None:
        self._store = store
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

    def delete(self, owner: str | None, image_id: str) -> None:
        """Delete the image and all of its bytes. Idempotent: an unknown or deleted id is no error.

        The delete is final once the tombstone is written. Bytes named by the record are removed immediately. Other
        bytes, such as those of a running attempt or those that the store refuses to remove now, are removed by
        `finish_delete`, called by the worker or by `reconcile`.
        """
        if not is_id(image_id):
            return
        for _ in range(_ATTEMPTS):
            found = self._images.get(image_id)
            if not isinstance(found, Image) or owner not in {None, found.owner}:
                return
            now = utcnow()
            tombstone = Tombstone(id=found.id, owner=found.owner, deleted_at=now, expires_at=now + TOMBSTONE_LIFE)
            try:
                self._images.bury(found.id, found.version, tombstone)
            except Stale:
                continue
            try:
                self._remove_bytes(found)
            except PortError:
                log.exception("delete not finished; reconcile continues it", extra={"image_id": image_id})
            return
        raise Conflict("busy", "The image is changing. Try again.")

    def _remove_bytes(self, image: Image) -> None:
        for file in {variant.file for variant in image.variants}:
            self._store.delete(variant_key(image.id, image.rendering_id or "", file))
        self._store.delete(original_key(image.id))
        if image.status is Status.READY and not image.stale_renderings:  # no failed attempt has left variants
            self._images.settle(image.id)


def finish_delete(store: ObjectStore, images: ImageRepository, image_id: str) -> None:
    """Remove the bytes of a deleted image: variants, then the original. Then mark its tombstone as finished."""
    store.delete_prefix(processed_prefix(image_id))
    store.delete(original_key(image_id))
    images.settle(image_id)
