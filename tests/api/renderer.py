"""A renderer of sizes for tests of the API: real images of the right size, and ports that can be interposed."""

import io
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from app.domain.errors import Missing
from app.domain.models import Format, Image, Status
from app.domain.ports import ImageRepository, ObjectStore, RenderedSize
from app.domain.recipe import Fit
from app.domain.sizes.operation import Operation
from app.domain.sizes.placement import shown_size_key, sizes_basis
from tests.samples import encoded


@dataclass
class FakeRenderer:
    """Keeps the contract of `OnDemandRenderer`. `before_storing` runs between reading the record and storing, and
    `encode` makes the bytes."""

    store: ObjectStore
    images: ImageRepository
    before_storing: Callable[[str], None] = lambda _: None
    encode: Callable[..., bytes] = encoded
    error: Exception | None = None
    calls: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def render(self, image_id: str, operation: Operation) -> RenderedSize:
        """See `OnDemandRenderer.render`."""
        with self._lock:
            self.calls[f"{image_id}/{operation.name}"] += 1
        if self.error is not None:
            raise self.error
        image = self._find(image_id)
        self.before_storing(image_id)
        form = Format.PNG if operation.format is Format.JPEG and image.has_alpha else operation.format
        body = self.encode(form.value.upper(), *shape(image, operation))
        key = shown_size_key(image, operation)
        self.store.put(key, io.BytesIO(body), size=len(body), content_type=form.media_type)
        after = self.images.get(image_id)
        if not isinstance(after, Image) or sizes_basis(after) != sizes_basis(image):
            self.store.delete(key)
            raise Missing(image_id)
        return RenderedSize(key, form.media_type, len(body), "tag")

    def _find(self, image_id: str) -> Image:
        found = self.images.get(image_id)
        if not isinstance(found, Image) or found.status is not Status.READY or found.trashed_at is not None:
            raise Missing(image_id)
        return found


def shape(image: Image, operation: Operation) -> tuple[int, int]:
    """Return the size that a renderer makes of an image that is large enough, else that of the image."""
    width, height = image.width or 1, image.height or 1
    if operation.fit is Fit.COVER and operation.width and operation.height:
        return operation.width, operation.height
    scale = min(1, (operation.width or width) / width, (operation.height or height) / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
