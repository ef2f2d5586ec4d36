"""Place of the stored sizes of an image, and the state of the record that they depend on."""

from app.domain.keys import size_key
from app.domain.models import Image, Visibility
from app.domain.sizes.operation import Operation


def shown_size_key(image: Image, operation: Operation) -> str:
    """Return the key that a size is stored under: its prefix is public or private, as the visibility says."""
    return size_key(image.id, operation.name, public=image.effective_visibility is Visibility.PUBLIC)


def sizes_basis(image: Image) -> object:
    """Return a value that changes whenever sizes that were rendered before must not be kept."""
    return image.effective_visibility, image.trashed_at is None, image.focal_point
