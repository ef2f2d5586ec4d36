"""Port of the renderer of sizes on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:  # every function imports the ports, and few of them render sizes
    from app.domain.sizes.operation import Operation


class RenderedSize(NamedTuple):
    """A stored size: its key, which is `keys.size_key` of the image's visibility, media type, bytes and entity tag.

    The media type is that of the bytes: PNG for a `jpeg` operation on an image with alpha. The tag changes with the
    bytes.
    """

    key: str
    media_type: str
    bytes: int
    etag: str


class OnDemandRenderer(Protocol):
    """Renders sizes of images and stores them."""

    def render(self, image_id: str, operation: Operation) -> RenderedSize:
        """Render a size of a `ready` image, store it and return it. Blocks until it is stored.

        The visibility and the focal point are those of the record. The renderer reads the record again after it has
        stored the size; if `sizes_basis` of the record has changed, it removes the size and raises `Missing`, as it
        does for an image that is deleted, in the trash or not `ready`. A size that is stored already is returned.

        Raises `RendererBusy` if too many sizes wait, `NotRenderable` if the image cannot be rendered in this size, and
        `Unavailable`, or `Full` if the disk has no space.
        """
