"""Deleting is final at once, repeatable, and leaves no byte."""

import io
from datetime import timedelta

import pytest

from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.ids import new_id
from app.domain.images.service import Images
from app.domain.keys import original_key, variant_key
from app.domain.models import ANONYMOUS, Format, Image, Status, Tombstone, Variant, utcnow
from app.domain.work import LONGEST_ATTEMPT
from tests.sides import Interposed, Side, once

#: A time when no attempt can store anything any more.
LATER = utcnow() + LONGEST_ATTEMPT + timedelta(hours=2)


def put_image(side: Side, owner: str = ANONYMOUS) -> Image:
    now = utcnow()
    files = [Variant(name=n, format=Format.WEBP, width=1, height=1, bytes=1, file=f"{n}.webp") for n in ("a", "b")]
    image = Image(
        id=new_id(), owner=owner, status=Status.READY, content_type="image/png", bytes=3, sha256="ab" * 32,
        uploaded_at=now, updated_at=now, rendering_id="r1", variants=files,
    )  # fmt: skip
    side.images.create(image, claim=True)
    for key in (original_key(image.id), *(variant_key(image.id, "r1", v.file) for v in files)):
        side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/png")
    return image


def test_an_image_is_its_owners_alone(side: Side) -> None:
    image = put_image(side, owner="ann")
    images = Images(side.images)
    assert images.get("ann", image.id) == image
    for owner, image_id in (("bob", image.id), ("ann", new_id()), ("ann", "../x"), ("ann", "")):
        with pytest.raises(NotFound) as refusal:
            images.get(owner, image_id)
        assert refusal.value.detail == "There is no image with this id."
    side.deletion.delete("bob", image.id)
    assert images.get("ann", image.id) == image


def test_delete_removes_every_byte_and_is_repeatable(side: Side) -> None:
    image, other = put_image(side), put_image(side, owner="other")
    images = Images(side.images)
    for _ in range(2):
        side.deletion.delete(ANONYMOUS, image.id)
        with pytest.raises(NotFound):
            images.get(ANONYMOUS, image.id)
    assert all(other.id in key for key in side.objects())
    assert side.unfinished() == [image.id]
    assert side.reconciler.run(now=LATER).deletes_finished == 1
    assert side.unfinished() == []
    assert not side.deletion.delete(ANONYMOUS, new_id())
    assert not side.deletion.delete(ANONYMOUS, "no id at all")


def test_a_delete_that_the_store_refuses_is_answered_and_finished_later(side: Side) -> None:
    image = put_image(side)

    def refuse() -> None:
        raise Unavailable("not now")

    broken = Interposed(side.store, before={"delete": once(refuse)})
    side.having(store=broken).deletion.delete(ANONYMOUS, image.id)
    assert isinstance(side.images.get(image.id), Tombstone)
    assert side.objects()
    assert side.reconciler.run().deletes_finished == 0
    assert side.objects() == set()
    assert side.reconciler.run(now=LATER).deletes_finished == 1
    assert side.unfinished() == []


@pytest.mark.parametrize(
    "state", [{"status": Status.PENDING}, {"status": Status.FAILED}, {"superseded": {"r0": LATER}}]
)
def test_bytes_that_the_record_does_not_name_are_removed_later(side: Side, state: dict[str, object]) -> None:
    image = put_image(side)
    image = side.images.update(image.id, image.version, state)
    for rendering in ("r0", "r2"):
        side.store.put(variant_key(image.id, rendering, "a.webp"), io.BytesIO(b"abc"), size=3, content_type="x/y")
    side.deletion.delete(ANONYMOUS, image.id)
    assert side.unfinished() == [image.id]
    side.reconciler.run(now=LATER)
    assert side.objects() == set()
    assert side.unfinished() == []


def test_a_delete_goes_through_though_the_record_moves_meanwhile(side: Side) -> None:
    image = put_image(side)
    moving = Interposed(
        side.images, before={"delete": once(lambda: side.images.update(image.id, image.version, {"title": "moved"}))}
    )
    side.having(images=moving).deletion.delete(ANONYMOUS, image.id)
    assert isinstance(side.images.get(image.id), Tombstone)
    assert side.objects() == set()


def test_variants_are_found_by_name(side: Side) -> None:
    image = put_image(side)
    images = Images(side.images)
    assert [variant.file for variant in images.variants(image, "b")] == ["b.webp"]
    with pytest.raises(NotFound) as unknown:
        images.variants(image, "zzz")
    assert unknown.value.extra["variants"] == ["a", "b"]
    image = side.images.update(image.id, image.version, {"status": Status.PENDING})
    with pytest.raises(Conflict):
        images.variants(image, "b")
