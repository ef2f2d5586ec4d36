"""Look up and list images."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice

from app.domain.errors import Conflict, Gone, NotFound
from app.domain.ids import is_id
from app.domain.images.choice import whole_variants
from app.domain.images.urls import is_public
from app.domain.media import UNKNOWN_TYPE
from app.domain.models import FailureCode, Image, Status, Tombstone, Variant, is_open_ticket
from app.domain.ports import ImageRepository, ListQuery, Page, StoredImage

#: Records that are read at once.
_BATCH = 1000
_NEVER_SERVED = frozenset({FailureCode.NOT_AN_IMAGE, FailureCode.UNSUPPORTED_IMAGE})


class Images:
    """Reads stored images. For a caller, images of other owners do not exist."""

    def __init__(self, images: ImageRepository) -> None:
        self._images = images

    def get(self, owner: str | None, image_id: str) -> Image:
        """Return an image of the owner, or of any owner for None. Raises `NotFound` for every other id."""
        found = self._images.get(image_id) if is_id(image_id) else None
        if not isinstance(found, Image) or owner not in {None, found.owner}:
            raise not_found()
        return found

    def get_stored(self, image_id: str) -> StoredImage:
        """Return an image of any owner without parsing it. Raises `NotFound`.

        The caller must check the owner, as `get` does.
        """
        found = self._images.get_stored(image_id) if is_id(image_id) else None
        if found is None:
            raise not_found()
        return found

    def get_shown(self, image_id: str, visible_owner: Callable[[], str | None]) -> Image:
        """Return a public image, or one that the caller may see.

        `visible_owner` returns the owner whose images the caller may see, or None for all; it raises an error for
        everybody else. It is called unless the image is public, so unknown and private images look alike to others.
        """
        return self._check_shown(self._images.get(image_id) if is_id(image_id) else None, visible_owner)

    def get_pasted(self, image_id: str, visible_owner: Callable[[], str | None]) -> Image:
        """Return an image like `get_shown`. Raises `Gone` for a deleted one, also to callers that could not see it: its
        url may be in a page."""
        found = self._images.get(image_id) if is_id(image_id) else None
        if isinstance(found, Tombstone):
            raise Gone("image_deleted", "The image was deleted.")
        return self._check_shown(found, visible_owner)

    def _check_shown(self, found: Image | Tombstone | None, visible_owner: Callable[[], str | None]) -> Image:
        if isinstance(found, Image) and is_public(found):
            return found
        owner = visible_owner()
        if not isinstance(found, Image) or owner not in {None, found.owner}:
            raise not_found()
        return found

    def get_public(self, image_id: str) -> Image | None:
        """Return the image if it is ready and public now."""
        found = self._images.get(image_id) if is_id(image_id) else None
        ready = isinstance(found, Image) and found.status is Status.READY and is_public(found)
        return found if ready and isinstance(found, Image) else None

    def versions(self, image_ids: Collection[str]) -> Mapping[str, int]:
        """Return the versions of those records that exist, of any owner."""
        return self._images.versions(image_ids)

    def look_up(self, owner: str, hashes: Collection[str]) -> Mapping[str, str]:
        """Return the ids of the owner's images with these bytes, by hash: those that are ready and not in the trash.

        If the image that the hash points to is neither, one of its copies can be.
        """
        pointers = self._images.find_hashes(owner, hashes)
        known = self._find_ready((image_id, sha256) for sha256, image_id in pointers.items())
        unknown = pointers.keys() - known.keys()
        copies = self._images.find_copies(owner, unknown) if unknown else {}
        return known | self._find_ready((copy, sha256) for sha256, each in copies.items() for copy in each)

    def _find_ready(self, candidates: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return the first candidate for each hash that is ready and not in the trash. Candidates are id and hash."""
        found: dict[str, str] = {}
        left = iter(candidates)
        while batch := list(islice(left, _BATCH)):
            records = self._images.get_many({image_id for image_id, _ in batch})
            for image_id, sha256 in batch:
                image = records.get(image_id)
                if image is not None and image.status is Status.READY and image.trashed_at is None:
                    found.setdefault(sha256, image_id)
        return found

    def list_stored(self, query: ListQuery) -> Page[StoredImage]:
        """Return one page of the owner's images."""
        return self._images.list_stored(query)

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

    def variants(self, image: Image, name: str | None) -> Sequence[Variant]:
        """Return the variants of that name, one per format; for None, those that show the whole image.

        Raises `Conflict` if the image is not ready, and `NotFound` if it has no such variant.
        """
        check_ready(image)
        if name is None:
            return whole_variants(image)
        named = [variant for variant in image.variants if variant.name == name]
        if not named:
            names = sorted({variant.name for variant in image.variants})
            raise NotFound("variant_not_found", f"The image has no variant {name[:40]!a}.", variants=names)
        return named


def check_ready(image: Image) -> None:
    """Raise `Conflict` for an image that is pending or failed, and say why it failed."""
    if image.status is not Status.READY:
        why = f": {image.error.detail}" if image.error else "."
        raise Conflict("not_ready", f"The image is {image.status}{why}", status_of_image=image.status)


def check_not_trashed(image: Image) -> None:
    """Raise `Conflict` if the image is in the trash."""
    if image.trashed_at is not None:
        since = image.trashed_at.isoformat().replace("+00:00", "Z")
        detail = f"The image has been in the trash since {since}. Restore it first: POST /images/{{id}}/restore."
        raise Conflict("trashed", detail, trashed_at=since)


def not_found() -> NotFound:
    """Return the error for an image that does not exist, or not for the caller."""
    return NotFound("image_not_found", "There is no image with this id.")
