"""Rendering of one size on demand: from the record to an object in the store."""

import hashlib
import io
import logging
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.domain.errors import ImageError, Missing, NotRenderable, PortError, RendererBusy
from app.domain.images.renderings import Renderings
from app.domain.keys import is_public
from app.domain.limits import Limits
from app.domain.models import FailureCode, Format, Image, Status, Tombstone, utcnow
from app.domain.ports import ImageRepository, ObjectStore, RenderedSize
from app.domain.recipe import Recipe, VariantSpec
from app.domain.sizes.completeness import is_complete, size_type_of
from app.domain.sizes.offer import MAX_SIDE
from app.domain.sizes.operation import Operation
from app.domain.sizes.placement import shown_size_key, sizes_basis
from app.domain.work import Task, Work
from app.worker.jobs import Job, Rendered
from app.worker.machine import usable_cpus
from app.worker.memory_budget import MemoryBudget, NotStarted
from app.worker.on_demand.sources import SizeSource, choose_source, original_source
from app.worker.sandbox.parent import Sandbox
from app.worker.share import Share

log = logging.getLogger(__name__)

#: Memory bound in MB of the first attempt at a still image. It is enough for variants and for most photographs.
_GUESSED_MB = 256
#: Seconds until a caller may ask again for a size that got no memory.
_RETRY_SECONDS = 5
_MOST_THREADS = 2
_HEAD_BYTES = 64
_TAG_DIGITS = 32


class SizeRenderer:
    """An `OnDemandRenderer` that renders in child processes, with the limits of processing.

    `sandbox` runs `child.render_variants`; `memory` is shared with the images of the queue. `scratch` is an existing
    folder that no other process uses. With `share_sources` children can change no file that they read.
    """

    def __init__(  # noqa: PLR0913 - all that an entry point decides
        self,
        store: ObjectStore,
        images: ImageRepository,
        renderings: Renderings,
        sandbox: Sandbox,
        *,
        recipe: Recipe,
        limits: Limits,
        scratch: Path,
        memory: MemoryBudget | None = None,
        share_sources: bool = False,
    ) -> None:
        self._store = store
        self._images = images
        self._renderings = renderings
        self._sandbox = sandbox
        self._recipe = recipe
        self._limits = limits
        self._scratch = scratch
        self._memory = memory
        self._share_sources = share_sources
        self._cpus = usable_cpus()
        self._busy = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the renderings that run."""
        self._sandbox.close()

    def busy(self) -> int:
        """Return the number of sizes that are rendered now."""
        return self._sandbox.busy()

    def find_owner(self, image_id: str) -> str:
        """Return the owner of an image. Raises `Missing`."""
        return self._find(image_id).owner

    def render(self, image_id: str, operation: Operation, give_up: Callable[[], bool] = lambda: False) -> RenderedSize:
        """See `OnDemandRenderer.render`. Raises `RendererBusy` once `give_up()` is true and it has not started."""
        image = self._find(image_id)
        key = shown_size_key(image, operation)
        stored = self._stored(key)
        if stored is not None:
            return stored
        self._store.check_space(0)  # sizes can be rendered again, so they leave the reserve of the disk alone
        with self._lock:
            self._busy += 1
        try:
            with self._sandbox.workspace(self._scratch) as (file, out):
                made = self._make(image, operation, file, out, give_up)
                return self._put(image, key, out / made.file, made)
        except NotStarted:
            raise RendererBusy(_RETRY_SECONDS) from None
        except ImageError as error:
            raise NotRenderable(error.code, error.detail) from error
        finally:
            with self._lock:
                self._busy -= 1

    def _find(self, image_id: str) -> Image:
        found = self._images.get(image_id)
        if not isinstance(found, Image) or found.status is not Status.READY or found.trashed_at is not None:
            raise Missing(image_id)
        return found

    def _stored(self, key: str) -> RenderedSize | None:
        """Return the size under this key if it is stored already, with its end."""
        try:
            with self._store.open(key) as body:
                data = body.read()
        except Missing:
            return None
        if not is_complete(io.BytesIO(data)):
            return None
        return RenderedSize(key, size_type_of(data[:_HEAD_BYTES]) or "", len(data), _tag(data))

    def _make(self, image: Image, operation: Operation, file: Path, out: Path, give_up: Callable[[], bool]) -> Rendered:
        """Fetch the source into `file`, and render the size into a file in `out`."""
        spec = VariantSpec(
            name="size",
            width=operation.width or MAX_SIDE,
            height=operation.height,
            fit=operation.fit,
            formats=(operation.format,),
            quality=dict.fromkeys((operation.format, Format.WEBP), operation.quality),  # JPEG XL may become WebP
        )
        source, is_shared = self._fetch(image, choose_source(image, spec, self._recipe), file)
        job = Job(
            recipe=Recipe(variants=(spec,)),
            focal_point=image.focal_point,
            media_type=source.media_type,
            displayed=source.displayed,
            max_pixels=self._limits.max_pixels,
            max_frames=self._limits.max_frames,
            source_is_shared=is_shared,
            # A size from a variant is too small for two.
            threads=1 if source.displayed else min(_MOST_THREADS, max(1, self._cpus // self._busy)),
        )
        share = Share(memory=self._memory, give_up=give_up)
        # Whether all frames fit into memory decides between an animation and a still: that needs the estimate.
        guessed_mb = None if (image.frames or 1) > 1 else _GUESSED_MB
        processed = share.process(self._sandbox, file, out, job, guessed_mb=guessed_mb)
        return processed.variants[0]

    def _fetch(self, image: Image, source: SizeSource, to: Path) -> tuple[SizeSource, bool]:
        """Make the object a file, and return True if the file is the object itself. The original stands for a variant
        that is missing."""
        for each in (source, original_source(image)):
            with suppress(Missing):
                if self._share_sources and self._store.share(each.key, to):
                    return each, True
                with self._store.open(each.key) as body, to.open("wb") as file:
                    shutil.copyfileobj(body, file, 1024 * 1024)
                return each, False
        raise ImageError(FailureCode.ORIGINAL_MISSING, "The original of this image is missing.")

    def _put(self, image: Image, key: str, file: Path, made: Rendered) -> RenderedSize:
        """Store the size, and remove it again unless the record still allows it. Raises `Missing` then."""
        # Not a pipe that nobody writes, either: a child that was just killed may have replaced the file.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as body:
            data = body.read(made.bytes)
        size = RenderedSize(key, made.format.media_type, made.bytes, _tag(data))
        is_kept = False
        try:
            self._store.put(key, io.BytesIO(data), size=made.bytes, content_type=size.media_type, lasting=False)
            is_kept = self._is_current(image)
        finally:
            if not is_kept:
                self._remove(image.id, key)
        if not is_kept:
            raise Missing(key)
        return size

    def _is_current(self, image: Image) -> bool:
        """Return True if sizes that were rendered for the record as it was read may be kept."""
        found = self._images.get(image.id)
        if not isinstance(found, Image) or found.status is not Status.READY:
            return False
        return (sizes_basis(found), found.rendering_id) == (sizes_basis(image), image.rendering_id)

    def _remove(self, image_id: str, key: str) -> None:
        """Remove a size that must not be kept. If it was public, a CDN may have cached it meanwhile."""
        try:
            self._store.delete(key)
            if is_public(key):
                self._invalidate(image_id)
        except PortError:
            log.exception("a size was not removed; reconcile removes it", extra={"image_id": image_id})

    def _invalidate(self, image_id: str) -> None:
        """Add the task `invalidate`, which `reconcile` runs, to the record or to the tombstone."""
        task = {Task.INVALIDATE: Work.add(utcnow())}
        found = self._images.get(image_id)
        if isinstance(found, Tombstone):
            self._images.update_tombstone(image_id, task)
        elif found is not None and Task.INVALIDATE not in found.work:
            self._renderings.change_tasks(found, task)


def _tag(data: bytes) -> str:
    """Return the entity tag of these bytes."""
    return f'"{hashlib.sha256(data).hexdigest()[:_TAG_DIGITS]}"'
