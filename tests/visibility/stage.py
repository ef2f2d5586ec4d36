"""One image with its service: operations on ports that can be interposed, recovery, and the invariants."""

import contextlib
import hashlib
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.domain.errors import DarkroomError, Missing
from app.domain.ids import new_id
from app.domain.images.deletion import Deletion
from app.domain.images.editing import Editor
from app.domain.images.patch import Patch
from app.domain.images.renderings import Renderings
from app.domain.images.trash import Trash
from app.domain.keys import PUBLIC, original_key, processed_prefix, variant_key
from app.domain.limits import Limits
from app.domain.maintenance.reconcile import Reconciler
from app.domain.maintenance.report import Report
from app.domain.models import FocalPoint, Format, Image, Status, Tombstone, Visibility, utcnow
from app.domain.ports import Cdn
from app.domain.recipe import Recipe, VariantSpec
from app.domain.reports import Outcome
from app.domain.work import PROCESS_DELAY, Task, Work
from app.worker.jobs import Job, Processed, Rendered
from app.worker.process import Worker
from tests.samples import encoded
from tests.sides import Side
from tests.visibility.steps import Step, Stepped

OWNER = "ada"
#: Two variants that share one file, and one of another.
RECIPE = Recipe(variants=tuple(VariantSpec(name=name, width=8, formats=(Format.WEBP,)) for name in ("a", "b", "c")))
#: Days of an image in the trash, and the time at which reconcile deletes it.
TRASH_DAYS = 3000
TRASH_ENDS = timedelta(days=TRASH_DAYS, hours=1)
#: Times at which reconcile runs: after the longest attempt, after the lifetimes of private renderings and of strays,
#: and after that of public ones.
LATER = (timedelta(minutes=31), timedelta(hours=25), timedelta(hours=50), timedelta(days=366), timedelta(days=732))


class Painter:
    """Sandbox that renders without a process: the bytes of a file name the focal point and the recipe."""

    def process(self, source: Path, out: Path, job: Job) -> Processed:
        """See `Sandbox.process`."""
        variants = []
        for spec in job.recipe.variants:
            file = "shared.webp" if spec.name in {"a", "b"} else f"{spec.name}.webp"
            body = content(file, job.focal_point, job.recipe)
            (out / file).write_bytes(body)
            size = len(body)
            variants.append(
                Rendered(name=spec.name, format=Format.WEBP, width=8, height=8, bytes=size, file=file, quality=80)
            )
        return Processed(width=8, height=8, has_alpha=False, variants=variants)


def content(file: str, focal_point: FocalPoint | None, recipe: Recipe = RECIPE) -> bytes:
    """Return the bytes of a file."""
    return f"{file} {focal_point} {recipe.variants[0].width}".encode()


@dataclass
class Stage:
    """A service with one image. Operations run on the ports of `side`, behind a step if one is given."""

    side: Side
    scratch: Path
    cdn: Cdn | None = None
    image_id: str = ""
    deleted: bool = False
    titles: "itertools.count[int]" = field(default_factory=itertools.count)

    def ports(self, step: Step | None) -> tuple[Any, Any, Any, Renderings]:
        """Return store, records, queue and renderings behind the step."""
        store, images, queue = self.side.store, self.side.images, self.side.queue
        if step is not None:
            store, images, queue = (Stepped(each, step) for each in (store, images, queue))  # type: ignore[assignment] # they forward every method
        return store, images, queue, Renderings(store, images, cdn=self.cdn)

    def upload(self, *, public: bool, ready: bool = True) -> None:
        """Store a new image, and process it if it should be `ready`."""
        self.image_id, self.deleted = new_id(), False
        body, now = encoded(), utcnow()
        self.side.store.create(original_key(self.image_id), io.BytesIO(body), size=len(body), content_type="image/jpeg")
        image = Image(
            id=self.image_id, owner=OWNER, content_type="image/jpeg", bytes=len(body), uploaded_at=now, updated_at=now,
            sha256=hashlib.sha256(body).hexdigest(), work={Task.PROCESS: Work.add(now, PROCESS_DELAY)},
            visibility=Visibility.PUBLIC if public else Visibility.PRIVATE,
        )  # fmt: skip
        self.side.images.create(image, claim=False)
        if ready:
            assert self.process() is Outcome.READY

    # Operations

    def edit(self, step: Step | None = None, **members: Any) -> Image:
        """Edit the image as a request does."""
        _, images, queue, renderings = self.ports(step)
        return Editor(images, queue, renderings).edit(OWNER, self.image_id, Patch.parse(members))

    def title(self, step: Step | None = None) -> None:
        """Give the image a new title."""
        self.edit(step, title=f"title {next(self.titles)}")

    def publish(self, step: Step | None = None) -> None:
        """Make the image public."""
        self.edit(step, visibility="public")

    def hide(self, step: Step | None = None) -> None:
        """Make the image private."""
        self.edit(step, visibility="private")

    def focus(self, step: Step | None = None) -> None:
        """Move the focal point there and back."""
        found = self.side.images.get(self.image_id)
        left = isinstance(found, Image) and found.focal_point == FocalPoint(x=0, y=0)
        self.edit(step, focal_point={"x": 1 if left else 0, "y": 0})

    def reprocess(self, step: Step | None = None) -> None:
        """Ask for the image to be rendered again."""
        _, images, queue, renderings = self.ports(step)
        Editor(images, queue, renderings).reprocess(OWNER, self.image_id)

    def process(self, step: Step | None = None, receive_count: int = 1) -> Outcome:
        """Deliver the event of the image to a worker of its own."""
        store, images, _, renderings = self.ports(step)
        worker = Worker(
            store, images, renderings, Painter(), recipe=RECIPE, limits=Limits(), adopt=False,  # type: ignore[arg-type] # the method that a worker calls
            scratch=self.scratch, max_attempts=9, reporter=lambda _: None,
        )  # fmt: skip
        return worker.handle(self.image_id, receive_count=receive_count)

    def render(self, step: Step | None = None) -> None:
        """Move the focal point, then process the image."""
        self.focus()
        self.process(step)

    def delete(self, step: Step | None = None) -> None:
        """Delete the image."""
        _, images, _, renderings = self.ports(step)
        Deletion(images, renderings).delete(OWNER, self.image_id)
        self.deleted = True

    def trash(self, step: Step | None = None) -> None:
        """Move the image to the trash."""
        self._trash(step).delete(OWNER, self.image_id)

    def restore(self, step: Step | None = None) -> None:
        """Take the image out of the trash."""
        self._trash(step).restore(OWNER, self.image_id)

    def _trash(self, step: Step | None) -> Trash:
        store, images, queue, renderings = self.ports(step)
        return Trash(store, images, Editor(images, queue, renderings), Deletion(images, renderings), days=TRASH_DAYS)

    def purge(self, step: Step | None = None) -> None:
        """Move the image to the trash, and run reconcile when its time there is over."""
        self.trash()
        self.reconcile(step, after=TRASH_ENDS)

    def reconcile(self, step: Step | None = None, *, after: timedelta = LATER[0]) -> None:
        """Run reconcile as if that time had passed."""
        assert self.report(step, after=after).errors == 0

    def report(self, step: Step | None = None, *, after: timedelta) -> Report:
        """Run reconcile as if that time had passed, and return its report."""
        return Reconciler(*self.ports(step)).run(now=utcnow() + after)

    def sweep(self, step: Step | None = None) -> None:
        """Run reconcile when private renderings are due."""
        self.reconcile(step, after=LATER[1])

    # Recovery and invariants

    def deliver(self) -> None:
        """Deliver all events that wait."""
        while messages := self.side.queue.receive(10):
            for message in messages:
                if self.image_id in message.body:
                    self.process()
                self.side.queue.delete(message.receipt)

    def recover(self, *, redeliver: bool = False) -> None:
        """Reconcile at later times, and check the invariants after each. An interrupted delivery is repeated first."""
        if redeliver:
            self.process(receive_count=2)
        for after in LATER:
            self.deliver()
            self.reconcile(after=after)
            self.check_public()
            self.deliver()
            self.check_complete()
        unrest = self.unrest()
        assert not unrest, unrest

    def image(self) -> Image | Tombstone | None:
        """Return the record."""
        return self.side.images.get(self.image_id)

    def check_public(self) -> None:
        """Check that a private or deleted image has no public object."""
        found = self.image()
        if not isinstance(found, Image) or found.effective_visibility is Visibility.PRIVATE:
            public = [info.key for info in self.side.store.list(processed_prefix(self.image_id, public=True))]
            assert public == [], f"public objects of an image that is not public: {public}"

    def check_complete(self) -> None:
        """Check that a `ready` image has all of its variants."""
        found = self.image()
        if isinstance(found, Image) and found.status is Status.READY:
            missing = list(self._missing(found))
            assert not missing, missing

    def unrest(self) -> list[str]:
        """Return every difference from a clean end, as sentences."""
        found = self.image()
        expected: set[str] = set()
        wrong = [f"unfinished: {found!r}"] * (self.image_id in self.side.unfinished())
        if isinstance(found, Image):
            expected = {original_key(self.image_id), *(key for key, _ in self._variants(found))}
            wrong += self._missing(found)
            wrong += [f"status {found.status}"] * (found.status is not Status.READY)
            wanted = found.effective_visibility
            wrong += [f"placed {found.placed}, wanted {wanted}"] * (found.placed is not wanted)
            wrong += ["deleted and still there"] * self.deleted
        stored = {key for key in self.side.objects() if self.image_id in key}
        return [*wrong, *(f"left: {key}" for key in sorted(stored - expected))]

    def _variants(self, image: Image) -> Iterator[tuple[str, bytes]]:
        public = image.placed is Visibility.PUBLIC
        for variant in image.variants:
            yield (
                variant_key(image.id, image.rendering_id or "", variant.file, public=public),
                content(variant.file, image.focal_point),
            )

    def _missing(self, image: Image) -> Iterator[str]:
        public = image.placed is Visibility.PUBLIC
        for variant in image.variants:
            key = variant_key(image.id, image.rendering_id or "", variant.file, public=public)
            try:
                with self.side.store.open(key) as body:
                    raw = body.read()
            except Missing:
                yield f"no object {key}, which is {'public' if key.startswith(PUBLIC) else 'private'}"
                continue
            if len(raw) != variant.bytes:
                yield f"other bytes: {key}"


Operation = Callable[[Step | None], object]


def attempt(operation: Operation, step: Step | None = None) -> None:
    """Run an operation that may be refused."""
    with contextlib.suppress(DarkroomError):
        operation(step)
