"""Images of the same bytes in any order of uploads, copies, tickets, trash and deletes: each state finds them again."""

import hashlib
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.domain.images.service import Images
from app.domain.images.similar import LookAlikeSearch
from app.domain.keys import original_key
from app.domain.limits import Limits
from app.domain.models import ANONYMOUS, Image, utcnow
from app.domain.ports import ListQuery
from app.domain.uploads.requests import TicketRequest, Upload
from app.domain.uploads.service import Accepted, Uploads
from app.domain.uploads.tickets import Tickets
from tests.contract.races import eventually
from tests.contract.records import PROCESSED
from tests.sides import Side
from tests.tiers import smoke

BODY = b"\xff\xd8\xff the same bytes"
SHA = hashlib.sha256(BODY).hexdigest()
PHASH = "d2c3aec9e93f12c0"


@dataclass
class Model:
    """Expected state: ids of ready images, of trashed ones, and of open tickets."""

    ready: set[str] = field(default_factory=set)
    trashed: set[str] = field(default_factory=set)
    tickets: set[str] = field(default_factory=set)


class Scene:
    """Operations on images of the same bytes, on real adapters and on the model."""

    def __init__(self, side: Side, seed: int) -> None:
        self.side = side
        self.dice = random.Random(seed)
        self.model = Model()
        self.trash = side.trash(30)
        self.uploads = Uploads(side.store, side.images)
        self.tickets = Tickets(side.images, side.grants, Limits(), side.store)

    def upload(self) -> None:
        accepted = self._accept(keep_duplicate=False)
        assert accepted.duplicate == bool(self.model.ready)
        if accepted.duplicate:
            assert accepted.image.id in self.model.ready
        else:
            self._process(accepted.image)

    def upload_a_copy(self) -> None:
        accepted = self._accept(keep_duplicate=True)
        assert not accepted.duplicate
        self._process(accepted.image)

    def request_ticket(self) -> None:
        name = self.dice.choice([None, "one.jpg", "two.jpg"])
        request = TicketRequest(size=len(BODY), sha256=SHA, content_type="image/jpeg", filename=name)
        issued = self.tickets.issue(ANONYMOUS, request)
        if isinstance(issued, Accepted):
            assert issued.image.id in self.model.ready
        else:
            assert not self.model.ready
            self.model.tickets.add(issued.id)

    def use_ticket(self) -> None:
        if self.model.tickets:
            image_id = self._pick(self.model.tickets)
            self.side.store.create(original_key(image_id), io.BytesIO(BODY), size=len(BODY), content_type="image/jpeg")
            self.model.tickets.discard(image_id)
            ready = self._process(self._record(image_id))
            self.side.images.claim(ready)  # as the worker does

    def delete(self) -> None:
        if self.model.ready:
            image_id = self._pick(self.model.ready)
            self.trash.delete(ANONYMOUS, image_id)
            self.model.ready.discard(image_id)
            self.model.trashed.add(image_id)

    def restore(self) -> None:
        if self.model.trashed:
            image_id = self._pick(self.model.trashed)
            self.trash.restore(ANONYMOUS, image_id)
            self.model.trashed.discard(image_id)
            self.model.ready.add(image_id)

    def delete_permanently(self) -> None:
        if every := self.model.ready | self.model.trashed | self.model.tickets:
            image_id = self._pick(every)
            self.trash.delete(ANONYMOUS, image_id, permanent=True)
            for ids in (self.model.ready, self.model.trashed, self.model.tickets):
                ids.discard(image_id)

    def check(self) -> None:
        images, ready = Images(self.side.images), self.model.ready
        known = images.look_up(ANONYMOUS, [SHA])
        assert (set(known) == {SHA}) is bool(ready)
        assert set(known.values()) <= ready
        eventually(lambda: self._listed(trashed=False), ready)
        eventually(lambda: self._listed(trashed=True), self.model.trashed)
        for image_id in sorted(ready | self.model.trashed)[:2]:
            eventually(lambda image_id=image_id: self._look_alikes(image_id), ready - {image_id})

    def end(self) -> None:
        """Delete everything. Nothing of it is left."""
        for image_id in self.model.ready | self.model.trashed | self.model.tickets:
            self.trash.delete(ANONYMOUS, image_id, permanent=True)
        self.model = Model()
        self.check()
        assert self.side.images.find_hash(ANONYMOUS, SHA) is None
        assert self.side.images.find_copies(ANONYMOUS, [SHA]) == {}
        assert self.side.images.find_ticket(ANONYMOUS, SHA) is None
        assert self.side.objects() == set()
        assert not self._accept(keep_duplicate=False).duplicate

    def _accept(self, *, keep_duplicate: bool) -> Accepted:
        sent = Upload(io.BytesIO(BODY), len(BODY), SHA, "image/jpeg")
        return self.uploads.accept(ANONYMOUS, sent, keep_duplicate=keep_duplicate)

    def _process(self, image: Image) -> Image:
        changes = PROCESSED | {"phash": PHASH, "upload_expires_at": None, "processed_at": utcnow()}
        ready = self.side.images.update(image.id, image.version, changes)
        self.model.ready.add(image.id)
        return ready

    def _listed(self, *, trashed: bool) -> set[str]:
        return {image.id for image in self.side.images.list(ListQuery(ANONYMOUS, 200, trashed=trashed)).items}

    def _look_alikes(self, image_id: str) -> set[str]:
        found = LookAlikeSearch(self.side.images).find(self._record(image_id), 0, 50)
        return {each.image.id for each in found.items}

    def _record(self, image_id: str) -> Image:
        found = self.side.images.get(image_id)
        assert isinstance(found, Image)
        return found

    def _pick(self, ids: set[str]) -> str:
        return self.dice.choice(sorted(ids))


def operations(scene: Scene) -> list[Callable[[], None]]:
    return [
        scene.upload,
        scene.upload_a_copy,
        scene.request_ticket,
        scene.use_ticket,
        scene.delete,
        scene.delete,
        scene.restore,
        scene.delete_permanently,
    ]


@pytest.mark.parametrize("seed", smoke(range(8), 2))
def test_images_of_the_same_bytes_are_found_in_every_order_of_changes(side: Side, seed: int) -> None:
    scene = Scene(side, seed)
    for _ in range(25):
        operation = scene.dice.choice(operations(scene))
        operation()
        scene.check()
    scene.end()
