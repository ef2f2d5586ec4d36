"""Deletion of everything of an owner: images in every state, until none is left."""

import io
from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.domain.images.deletion import Deletion
from app.domain.keys import original_key, variant_key
from app.domain.maintenance.owner_deletion import OwnerDeleted, OwnerDeletion
from app.domain.models import (
    Failure,
    FailureCode,
    Format,
    Image,
    Status,
    Tombstone,
    Variant,
    Visibility,
    utcnow,
)
from app.domain.uploads.tickets import RECORD_LIFE
from tests.contract.records import PROCESSED, an_image
from tests.sides import Interposed, Side

TICKET = {"upload_expires_at": utcnow() + RECORD_LIFE}
VARIANT = Variant(name="a", format=Format.WEBP, width=9, height=9, bytes=3, file="a.webp")
STORED = PROCESSED | {"rendering_id": "r", "variants": [VARIANT]}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ready": ({}, STORED),
    "public": ({"visibility": Visibility.PUBLIC}, STORED | {"placed": Visibility.PUBLIC}),
    "failed": ({}, PROCESSED | {"status": Status.FAILED, "error": Failure(code=FailureCode.TIMEOUT, detail="Slow.")}),
    "pending": ({}, {}),
    "open ticket": (TICKET, {}),
    "arrived ticket": (TICKET, {"arrived_at": utcnow()}),
}


def put(side: Side, key: str) -> None:
    side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/jpeg")


def place(side: Side, kind: str, owner: str) -> str:
    fields, changes = KINDS[kind]
    image = an_image(owner=owner, **fields)
    side.images.create(image, claim=False)
    if kind != "open ticket":
        put(side, original_key(image.id))
    if "rendering_id" in changes:
        put(side, variant_key(image.id, "r", "a.webp", public=kind == "public"))
    if changes:
        side.images.update(image.id, 1, changes)
    return image.id


def deletion(side: Side, **interposed: Any) -> OwnerDeletion:
    images = Interposed(side.images, **interposed)
    return OwnerDeletion(images, Deletion(images, side.renderings))


def test_images_in_every_state_are_deleted_and_no_others(side: Side) -> None:
    hers = [place(side, kind, "ann") for kind in KINDS for _ in range(3)]
    his = [place(side, kind, "bob") for kind in KINDS]
    kept = {key for key in side.objects() if any(image_id in key for image_id in his)}
    seen: list[int] = []
    assert deletion(side).delete_all("ann", progress=seen.append) == OwnerDeleted(len(hers), complete=True)
    assert sorted(seen) == list(range(1, len(hers) + 1))
    assert all(isinstance(side.images.get(image_id), Tombstone) for image_id in hers)
    assert all(isinstance(side.images.get(image_id), Image) for image_id in his)
    assert side.objects() == kept
    assert deletion(side).delete_all("ann") == OwnerDeleted(0, complete=True)
    side.reconciler.run(now=utcnow() + timedelta(hours=2))
    assert not set(side.unfinished()) & set(hers)


def test_it_stops_in_time_and_is_continued(side: Side) -> None:
    hers = [place(side, "ready", "ann") for _ in range(60)]
    left = 20

    def is_time_left() -> bool:
        nonlocal left
        left -= 1
        return left > 0

    first = deletion(side).delete_all("ann", is_time_left=is_time_left)
    assert 0 < first.deleted < len(hers)
    assert not first.complete
    remaining = {image_id for image_id in hers if isinstance(side.images.get(image_id), Image)}
    assert len(remaining) == len(hers) - first.deleted
    second = deletion(side).delete_all("ann")
    assert second == OwnerDeleted(len(remaining), complete=True)


def test_without_time_nothing_is_deleted(side: Side) -> None:
    place(side, "ready", "ann")
    assert deletion(side).delete_all("ann", is_time_left=lambda: False) == OwnerDeleted(0, complete=False)
    assert deletion(side).delete_all("ann").deleted == 1


def test_an_image_that_arrives_during_the_walk_is_deleted_too(side: Side) -> None:
    first = place(side, "ready", "ann")
    late: list[str] = []

    def upload(image_id: str, *_: Any) -> None:
        if image_id == first:
            late.append(place(side, "pending", "ann"))

    assert deletion(side, before={"delete": upload}).delete_all("ann") == OwnerDeleted(2, complete=True)
    assert isinstance(side.images.get(late[0]), Tombstone)


def test_an_image_that_cannot_be_deleted_leaves_the_others(side: Side) -> None:
    stuck, *others = [place(side, "ready", "ann") for _ in range(5)]

    def refuse(image_id: str, *_: Any) -> None:
        if image_id == stuck:
            raise Unavailable("The record is busy.")

    assert deletion(side, before={"delete": refuse}).delete_all("ann") == OwnerDeleted(4, complete=False)
    assert isinstance(side.images.get(stuck), Image)
    assert all(isinstance(side.images.get(image_id), Tombstone) for image_id in others)
    with pytest.raises(Unavailable):  # nothing was deleted
        deletion(side, before={"delete": refuse}).delete_all("ann")


def test_a_database_that_fails_is_no_success(side: Side) -> None:
    place(side, "ready", "ann")

    def refuse(*_: Any) -> None:
        raise Unavailable("The database is busy.")

    with pytest.raises(Unavailable):
        deletion(side, before={"owned": refuse}).delete_all("ann")
