"""The whole service on the AWS side, with delivery and reconcile, which finish all work."""

import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.recount import Recounts
from app.domain.errors import Missing, Stale
from app.domain.images.renderings import Renderings
from app.domain.limits import Limits
from app.domain.maintenance.orphans import Orphans
from app.domain.maintenance.report import Report
from app.domain.models import Image, utcnow
from app.domain.ports import ImageRepository, ListQuery, Message
from app.domain.recipe import Recipe, VariantSpec
from app.domain.uploads.descriptions import Description
from app.domain.uploads.requests import Upload
from app.domain.uploads.service import Accepted, Uploads
from app.worker.events import handle_event
from app.worker.process import Worker
from app.worker.sandbox.parent import Sandbox
from tests.faults.oracle import miscounted, unrest
from tests.faults.wire import Wire
from tests.samples import encoded
from tests.sides import Side

OWNER = "ada"
#: Small, and quick to make.
RECIPE = Recipe(variants=(VariantSpec(name="w32", width=32), VariantSpec(name="w16", width=16)))


@dataclass
class Scene:
    """One side with a worker. `gone` collects the ids whose delete was answered."""

    side: Side
    scratch: Path
    gone: set[str] = field(default_factory=set)

    @cached_property
    def wire(self) -> Wire:
        """Every request to the table and to the bucket."""
        store: Any = self.side.store
        return Wire(self.dynamodb, getattr(store, "_inner", store)._client)

    @property
    def dynamodb(self) -> Any:
        """The client of the table."""
        return self._images._client

    def images_with(self, client: Any) -> DynamoImages:
        """The same table through another client."""
        return DynamoImages(client, self._images._table)

    @property
    def _images(self) -> DynamoImages:
        assert isinstance(self.side.images, DynamoImages)
        return self.side.images

    def worker(self, images: ImageRepository | None = None) -> Worker:
        """A worker of its own, as another function's instance would be."""
        return Worker(
            self.side.store,
            images or self.side.images,
            Renderings(self.side.store, images or self.side.images),
            Sandbox(60, 1024),
            recipe=RECIPE,
            limits=Limits(),
            adopt=False,
            scratch=self.scratch,
            max_attempts=3,
        )

    def upload(self, seed: int = 0, *, images: ImageRepository | None = None, keep: bool = False) -> Accepted:
        """Upload an image, a different one for each seed."""
        body = encoded(seed=seed)
        upload = Upload(
            io.BytesIO(body),
            len(body),
            hashlib.sha256(body).hexdigest(),
            "image/jpeg",
            description=Description(tags=("sea", f"seed {seed}")),
        )
        return Uploads(self.side.store, images or self.side.images).accept(OWNER, upload, keep_duplicate=keep)

    def ready(self, seed: int = 0) -> Image:
        """Upload and process an image."""
        image = self.upload(seed).image
        self.deliver()
        return self.image(image.id)

    def image(self, image_id: str) -> Image:
        found = self.side.images.get(image_id)
        assert isinstance(found, Image)
        return found

    def delete(self, image_id: str) -> None:
        """Delete as the API does and note the id."""
        self.side.deletion.delete(OWNER, image_id)
        self.gone.add(image_id)

    def edit(self, image_id: str, **changes: Any) -> Image:
        """Change fields as a request does: retry after conflicts. Raise `Missing` when the image is deleted."""
        while True:
            found = self.side.images.get(image_id)
            if not isinstance(found, Image):
                raise Missing(image_id)
            try:
                return self.side.images.update(image_id, found.version, changes)
            except Stale:
                continue

    def deliver(self, worker: Worker | None = None) -> None:
        """Work off the queue to its end. What fails comes again, as often as the queue allows."""
        worker = worker or self.worker()
        while messages := self.side.queue.receive(10):
            for message in messages:
                answer = handle_event(queue_event(message), worker)
                settle: Callable[[str], None] = self.side.queue.delete
                if answer["batchItemFailures"]:
                    settle = self.side.queue.release
                settle(message.receipt)

    def reconcile(self, hours: float) -> Report:
        """Run reconcile as if `hours` had passed."""
        reconciler = self.side.reconciler
        now = utcnow() + timedelta(hours=hours)
        report = reconciler.run(requeue_after=timedelta(0), now=now)
        assert report.errors == 0
        orphans = Orphans(self.side.store, self.side.images, self.side.queue)
        for orphan in orphans.find(report, now=now):
            orphans.remove(orphan, report)
        self.recount(hours)
        return report

    def recount(self, hours: float = 0) -> int:
        """Correct the counts as reconcile does when `hours` have passed."""
        recounts = Recounts(self.dynamodb, self._images._table)
        return recounts.run(lambda: True, now=utcnow() + timedelta(hours=hours))

    def come_to_rest(self) -> None:
        """Redeliver and reconcile for two days, and once after a week, then check every invariant."""
        self.deliver()
        self.reconcile(2)
        self.deliver()
        self.reconcile(26)
        self.recount(8 * 24)
        assert unrest(self.side, gone=self.gone) == []
        assert miscounted(self.side) == []

    def listed(self, **fields: Any) -> list[str]:
        """The ids of a list's first page."""
        return [image.id for image in self.side.images.list(ListQuery(OWNER, 100, **fields)).items]


def queue_event(message: Message) -> dict[str, Any]:
    """A message as the function's trigger hands it over."""
    record = {
        "messageId": message.id,
        "body": message.body,
        "eventSource": "aws:sqs",
        "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
    }
    return {"Records": [record]}


def tiered(names: Iterable[Any]) -> list[Any]:
    """Parameters of which the first runs with the quick tests, and all with the engines."""
    return [pytest.param(name, marks=[pytest.mark.engines] * bool(number)) for number, name in enumerate(names)]
