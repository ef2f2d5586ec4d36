"""The trash: what it keeps, what restores, and what ends it."""

import io
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.errors import Conflict, Gone, NotFound, Unavailable
from app.domain.ids import new_id
from app.domain.images.patch import Patch
from app.domain.images.similar import bands
from app.domain.keys import original_key, processed_prefix, variant_key
from app.domain.limits import Limits
from app.domain.models import ANONYMOUS, Format, Image, Status, Tombstone, Variant, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.uploads.requests import TicketRequest
from app.domain.uploads.service import Accepted, Uploads
from app.domain.uploads.tickets import Ticket, Tickets
from app.domain.work import LONGEST_ATTEMPT, Task
from tests.contract.records import PROCESSED
from tests.domain.uploads.test_service import BYTES, accept, everything, refuse, upload
from tests.sides import Interposed, Side, once
from tests.visibility.steps import ActAt, Stepped

DAYS = 30
PHASH = "d2c3aec9e93f12c0"
LIFE = timedelta(days=DAYS)
VARIANT = Variant(name="a", format=Format.WEBP, width=9, height=9, bytes=3, file="a.webp")


def place(side: Side, visibility: Visibility = Visibility.PRIVATE, body: bytes = BYTES) -> Image:
    """Upload an image and make it ready, with one variant."""
    image = Uploads(side.store, side.images).accept(ANONYMOUS, upload(body)).image
    key = variant_key(image.id, "r", "a.webp", public=visibility is Visibility.PUBLIC)
    side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/webp")
    changes = PROCESSED | {"rendering_id": "r", "variants": [VARIANT], "visibility": visibility, "placed": visibility}
    return side.images.update(image.id, image.version, changes)


def found(side: Side, image: Image) -> Image:
    record = side.images.get(image.id)
    assert isinstance(record, Image)
    return record


def trashed(side: Side, visibility: Visibility = Visibility.PRIVATE) -> Image:
    image = place(side, visibility)
    side.trash(DAYS).delete(ANONYMOUS, image.id)
    return found(side, image)


def listed(side: Side, **filters: Any) -> list[str]:
    return [image.id for image in side.images.list(ListQuery(owner=ANONYMOUS, limit=200, **filters)).items]


def public_objects(side: Side, image: Image) -> list[str]:
    return [info.key for info in side.store.list(processed_prefix(image.id, public=True))]


def purge_at(side: Side, moment: datetime) -> int:
    return side.reconciler.run(now=moment).trash_deleted


@pytest.mark.parametrize("visibility", Visibility)
def test_a_deleted_image_is_kept_private_and_comes_back_as_it_was(side: Side, visibility: Visibility) -> None:
    image = place(side, visibility)
    side.trash(DAYS).delete(ANONYMOUS, image.id)
    kept = found(side, image)
    assert kept.trashed_at is not None
    assert kept.work[Task.PURGE].due == kept.trashed_at + LIFE
    assert (kept.visibility, kept.placed) == (visibility, Visibility.PRIVATE)
    assert (Task.HIDE in kept.work) == (visibility is Visibility.PUBLIC)
    assert public_objects(side, image) == []
    assert (listed(side), listed(side, trashed=True)) == ([], [image.id])
    restored = side.trash(DAYS).restore(ANONYMOUS, image.id)
    assert restored == found(side, image)
    assert Task.PURGE not in restored.work
    changed = {"version", "updated_at", "work", "superseded"}
    assert restored.model_dump(exclude=changed) == image.model_dump(exclude=changed)
    assert len(public_objects(side, image)) == (visibility is Visibility.PUBLIC)
    assert (listed(side), listed(side, trashed=True)) == ([image.id], [])
    for after in (LONGEST_ATTEMPT + timedelta(minutes=1), timedelta(days=2), timedelta(days=31)):
        assert purge_at(side, utcnow() + after) == 0
    assert side.unfinished() == []
    assert side.objects() == {
        original_key(image.id), variant_key(image.id, "r", "a.webp", public=visibility is Visibility.PUBLIC)
    }  # fmt: skip


def test_look_alikes_and_statistics_follow(side: Side) -> None:
    def found_alike() -> list[str]:
        pages = side.images.find_bands(ANONYMOUS, bands(PHASH), 10)
        return sorted({image_id for page in pages for image_id, _ in page})

    def counts() -> dict[str, int]:
        return {name: value for name, value in side.counters.get(ANONYMOUS).counts.items() if value}

    image = place(side, Visibility.PUBLIC)
    side.images.update(image.id, image.version, {"phash": PHASH})
    ready = counts()
    assert (found_alike(), ready["ready"]) == ([image.id], 1)
    side.trash(DAYS).delete(ANONYMOUS, image.id)
    assert found_alike() == []
    assert counts() == {"trashed": 1, "trashed_bytes": len(BYTES) + 3}
    side.trash(DAYS).restore(ANONYMOUS, image.id)
    assert (found_alike(), counts()) == ([image.id], ready)
    side.trash(DAYS).delete(ANONYMOUS, image.id)
    assert purge_at(side, utcnow() + LIFE) == 1
    assert (found_alike(), counts()) == ([], {})


def test_a_second_delete_changes_nothing(side: Side) -> None:
    kept = trashed(side)
    side.trash(DAYS).delete(ANONYMOUS, kept.id)
    assert found(side, kept) == kept


def test_without_days_a_delete_is_permanent_also_in_the_trash(side: Side) -> None:
    kept = trashed(side)
    other = place(side, body=b"other")
    for image in (kept, other):
        side.trash(0).delete(ANONYMOUS, image.id)
        assert isinstance(side.images.get(image.id), Tombstone)
    assert side.objects() == set()


@pytest.mark.parametrize("visibility", Visibility)
def test_a_permanent_delete_does_not_use_the_trash(side: Side, visibility: Visibility) -> None:
    kept = trashed(side, visibility)
    other = place(side, visibility, b"other")
    for image in (kept, other):
        side.trash(DAYS).delete(ANONYMOUS, image.id, permanent=True)
        assert isinstance(side.images.get(image.id), Tombstone)
    assert side.objects() == set()
    assert listed(side, trashed=True) == []


def test_images_of_others_and_unknown_ids_do_not_exist(side: Side) -> None:
    kept = trashed(side)
    other = place(side, body=b"other")
    for image_id in (kept.id, other.id, new_id(), "no-id", ""):
        for permanent in (False, True):
            side.trash(DAYS).delete("ann", image_id, permanent=permanent)
        with pytest.raises(NotFound):
            side.trash(DAYS).restore("ann", image_id)
    assert (found(side, kept), found(side, other)) == (kept, other)


def test_an_image_that_is_not_in_the_trash_is_restored_unchanged(side: Side) -> None:
    image = place(side)
    assert side.trash(DAYS).restore(ANONYMOUS, image.id) == image
    assert found(side, image) == image


def test_a_trashed_image_is_neither_edited_nor_rendered(side: Side) -> None:
    kept = trashed(side)
    for changes in ({"title": "x"}, {"title": None}, {"visibility": "public"}, {}):
        with pytest.raises(Conflict) as refused:
            side.editor.edit(ANONYMOUS, kept.id, Patch.parse(changes))
        assert refused.value.code == "trashed"
    with pytest.raises(Conflict) as refused:
        side.editor.reprocess(ANONYMOUS, kept.id)
    assert refused.value.code == "trashed"
    assert found(side, kept) == kept


# Its end


@pytest.mark.parametrize("visibility", Visibility)
def test_its_time_ends_and_nothing_is_left(side: Side, visibility: Visibility) -> None:
    kept = trashed(side, visibility)
    assert kept.trashed_at is not None
    assert purge_at(side, kept.trashed_at + LIFE - timedelta(seconds=1)) == 0
    assert found(side, kept).trashed_at == kept.trashed_at
    assert purge_at(side, kept.trashed_at + LIFE) == 1
    assert isinstance(side.images.get(kept.id), Tombstone)
    assert side.objects() == set()
    assert (listed(side), listed(side, trashed=True)) == ([], [])
    with pytest.raises(NotFound):
        side.trash(DAYS).restore(ANONYMOUS, kept.id)
    late = variant_key(kept.id, "other", "a.webp", public=True)  # of an attempt that read the record before
    side.store.put(late, io.BytesIO(b"abc"), size=3, content_type="image/webp")
    side.reconciler.run(now=utcnow() + LONGEST_ATTEMPT + timedelta(minutes=1))
    assert side.objects() == set()
    assert side.unfinished() == []


@pytest.mark.parametrize("days", [1, 2, 3650])
def test_a_clock_that_was_set_back_deletes_nothing_early(side: Side, days: int) -> None:
    image = place(side)
    side.trash(days).delete(ANONYMOUS, image.id)
    for before in (timedelta(days=2), timedelta(days=400), timedelta(days=4000)):
        assert purge_at(side, utcnow() - before) == 0
        assert side.reconciler.run(now=utcnow() - before, requeue_after=timedelta(0)).trash_deleted == 0
    assert found(side, image).trashed_at is not None


def test_a_start_deletes_nothing_early(side: Side) -> None:
    """It looks for tasks of the next day, too."""
    image = place(side)
    side.trash(1).delete(ANONYMOUS, image.id)
    assert side.reconciler.run(requeue_after=timedelta(0)).trash_deleted == 0
    assert found(side, image).trashed_at is not None


def test_an_image_that_is_restored_during_its_end_stays(side: Side) -> None:
    kept = trashed(side, Visibility.PUBLIC)
    restore = once(lambda: side.trash(DAYS).restore(ANONYMOUS, kept.id))
    raced = side.having(images=Interposed(side.images, before={"delete": restore}))
    assert purge_at(raced, utcnow() + LIFE) == 0
    assert found(side, kept).trashed_at is None
    assert len(public_objects(side, kept)) == 1


def test_an_image_whose_end_comes_during_its_restore_is_gone(side: Side) -> None:
    kept = trashed(side, Visibility.PUBLIC)
    end = once(lambda: purge_at(side, utcnow() + LIFE))
    raced = side.having(images=Interposed(side.images, before={"update": end}))
    with pytest.raises(NotFound):
        raced.trash(DAYS).restore(ANONYMOUS, kept.id)
    assert side.objects() == set()


def test_a_delete_during_the_end_is_no_error(side: Side) -> None:
    kept = trashed(side)
    delete = once(lambda: side.trash(DAYS).delete(ANONYMOUS, kept.id, permanent=True))
    raced = side.having(images=Interposed(side.images, before={"delete": delete}))
    assert purge_at(raced, utcnow() + LIFE) == 0
    assert isinstance(side.images.get(kept.id), Tombstone)
    assert side.objects() == set()


def test_a_store_that_fails_at_the_end_is_cleaned_later(side: Side) -> None:
    kept = trashed(side)
    failing = side.having(store=Interposed(side.store, before={"delete": refuse}))
    assert purge_at(failing, utcnow() + LIFE) == 1
    assert isinstance(side.images.get(kept.id), Tombstone)
    side.reconciler.run(now=utcnow() + LONGEST_ATTEMPT + timedelta(minutes=1))
    assert side.objects() == set()


# Its bytes again


@pytest.mark.moto
def test_the_same_bytes_make_a_new_image(side: Side) -> None:
    kept = trashed(side)
    assert issue(side, sha256=kept.sha256) is Ticket
    again = accept(side)
    assert (again.duplicate, again.image.id == kept.id) == (False, False)
    assert accept(side).image.id == again.image.id
    restored = side.trash(DAYS).restore(ANONYMOUS, kept.id)
    assert accept(side).image.id == again.image.id, "the new image keeps its place"
    side.deletion.delete(ANONYMOUS, again.image.id)
    assert accept(side).image.id == restored.id, "a restored image is a copy"


def test_a_further_copy_is_kept_as_one(side: Side) -> None:
    kept = trashed(side)
    again = accept(side, keep_duplicate=True)
    assert again.image.id != kept.id
    assert accept(side).image.id == again.image.id


def test_a_copy_is_known_while_the_first_image_is_in_the_trash(side: Side) -> None:
    first = place(side)
    copy = accept(side, keep_duplicate=True).image
    side.images.update(copy.id, copy.version, {"status": Status.READY})
    side.trash(DAYS).delete(ANONYMOUS, first.id)
    assert issue(side, sha256=first.sha256) is Accepted
    again = accept(side)
    assert (again.duplicate, again.image.id) == (True, copy.id)
    side.trash(DAYS).delete(ANONYMOUS, copy.id)
    assert issue(side, sha256=first.sha256) is Ticket
    third = accept(side)
    assert (third.duplicate, third.image.id in {first.id, copy.id}) == (False, False)


def test_a_restored_image_is_known_while_the_new_one_is_in_the_trash(side: Side) -> None:
    kept = trashed(side)
    new = accept(side).image
    side.trash(DAYS).restore(ANONYMOUS, kept.id)
    side.trash(DAYS).delete(ANONYMOUS, new.id)
    again = accept(side)
    assert (again.duplicate, again.image.id) == (True, kept.id)


def test_a_restored_image_takes_a_free_place(side: Side) -> None:
    kept = trashed(side)
    side.deletion.delete(ANONYMOUS, accept(side).image.id)
    assert side.images.find_hash(ANONYMOUS, kept.sha256 or "") is None
    side.trash(DAYS).restore(ANONYMOUS, kept.id)
    again = accept(side)
    assert (again.duplicate, again.image.id) == (True, kept.id)


def test_a_restore_that_is_not_noted_is_noted_by_the_next(side: Side) -> None:
    kept = trashed(side)
    side.deletion.delete(ANONYMOUS, accept(side).image.id)
    unnoted = side.having(images=Interposed(side.images, before={"claim": refuse}))
    restored = unnoted.trash(DAYS).restore(ANONYMOUS, kept.id)
    assert (restored.trashed_at, side.images.find_hash(ANONYMOUS, kept.sha256 or "")) == (None, None)
    assert side.trash(DAYS).restore(ANONYMOUS, kept.id) == restored
    assert side.images.find_hash(ANONYMOUS, kept.sha256 or "") == kept.id


def check_copies(side: Side, kept: Image, uploaded: list[Accepted]) -> None:
    """Check that no image is lost: the bytes stay known until the last image of theirs is deleted."""
    assert found(side, kept).trashed_at is None
    (accepted,) = uploaded
    live = {image.id for image in everything(side)}
    assert live == {kept.id, accepted.image.id}
    for _ in range(len(live)):
        known = accept(side)
        assert (known.duplicate, known.image.id in live) == (True, True)
        live.remove(known.image.id)
        side.deletion.delete(ANONYMOUS, known.image.id)
    assert side.images.find_hash(ANONYMOUS, kept.sha256 or "") is None


@pytest.mark.parametrize("first", ["upload", "restore"])
def test_an_upload_of_its_bytes_at_each_call_of_a_restore(side: Side, first: str) -> None:
    """And the other way round. No image is lost."""
    for number in range(40):
        if not race_at(side, first, number):
            break
    assert 3 <= number < 40


def race_at(side: Side, first: str, number: int) -> bool:
    """Run one of the two at this call of the other. Return False if it makes fewer calls."""
    kept = trashed(side)
    uploaded: list[Accepted] = []

    def send(ports: Side) -> None:
        uploaded.append(accept(ports))

    def restore(ports: Side) -> None:
        ports.trash(DAYS).restore(ANONYMOUS, kept.id)

    outer, inner = (send, restore) if first == "upload" else (restore, send)
    step = ActAt(number, lambda: inner(side))
    outer(side.having(store=Stepped(side.store, step), images=Stepped(side.images, step)))
    if step.happened:
        check_copies(side, kept, uploaded)
    return step.happened


# Uploads


def issue(side: Side, **fields: Any) -> type:
    made = Tickets(side.images, side.grants, Limits(), side.store).issue(
        ANONYMOUS, TicketRequest(filename="a.jpg", content_type="image/jpeg", size=len(BYTES), **fields)
    )
    return type(made)


def open_ticket(side: Side) -> Image:
    issue(side)
    (image_id,) = side.images.open_tickets(ANONYMOUS, 10)
    found = side.images.get(image_id)
    assert isinstance(found, Image)
    return found


def send(side: Side, ticket: Image) -> None:
    Uploads(side.store, side.images).store_ticket(
        ticket.id, io.BytesIO(BYTES), size=len(BYTES), content_type="image/jpeg"
    )


def test_a_ticket_without_bytes_is_deleted_at_once(side: Side) -> None:
    ticket = open_ticket(side)
    side.trash(DAYS).delete(ANONYMOUS, ticket.id)
    assert isinstance(side.images.get(ticket.id), Tombstone)
    with pytest.raises(Gone):
        send(side, ticket)
    assert side.objects() == set()


def test_a_ticket_whose_bytes_have_arrived_goes_to_the_trash(side: Side) -> None:
    """A bucket tells nobody but the queue."""
    ticket = open_ticket(side)
    side.store.put(original_key(ticket.id), io.BytesIO(BYTES), size=len(BYTES), content_type="image/jpeg")
    side.trash(DAYS).delete(ANONYMOUS, ticket.id)
    assert found(side, ticket).trashed_at is not None
    assert listed(side, trashed=True) == [ticket.id]
    assert purge_at(side, utcnow() + timedelta(days=20)) == 0
    assert side.trash(DAYS).restore(ANONYMOUS, ticket.id).trashed_at is None


def test_a_ticket_whose_bytes_arrive_during_the_delete_goes_to_the_trash(side: Side) -> None:
    ticket = open_ticket(side)
    arrive = once(lambda: send(side, ticket))
    raced = side.having(images=Interposed(side.images, before={"delete": arrive}))
    raced.trash(DAYS).delete(ANONYMOUS, ticket.id)
    assert found(side, ticket).trashed_at is not None
    assert side.objects() == {original_key(ticket.id)}


def test_a_trashed_ticket_accepts_no_bytes(side: Side) -> None:
    ticket = open_ticket(side)
    edit = once(lambda: side.editor.edit(ANONYMOUS, ticket.id, Patch.parse({"title": "x"})))
    raced = side.having(images=Interposed(side.images, before={"delete": edit}))
    raced.trash(DAYS).delete(ANONYMOUS, ticket.id)
    assert found(side, ticket).trashed_at is not None
    with pytest.raises(Gone):
        send(side, ticket)
    side.reconciler.run(now=utcnow() + timedelta(days=2))
    assert side.images.get(ticket.id) is None


def test_an_upload_whose_record_is_trashed_meanwhile_is_in_the_trash(side: Side) -> None:
    def delete(key: str, *_: Any, **__: Any) -> None:
        side.trash(DAYS).delete(ANONYMOUS, key.rpartition("/")[2])

    raced = side.having(store=Interposed(side.store, before={"create": delete}))
    image = accept(raced).image
    assert found(side, image).trashed_at is not None
    assert side.objects() == {original_key(image.id)}
    assert side.trash(DAYS).restore(ANONYMOUS, image.id).status is Status.PENDING


@pytest.mark.parametrize("change", ["trash", "edit"])
def test_a_refused_upload_leaves_no_record_that_was_changed_meanwhile(side: Side, change: str) -> None:
    def act(key: str, *_: Any, **__: Any) -> None:
        image_id = key.rpartition("/")[2]
        if change == "trash":
            side.trash(DAYS).delete(ANONYMOUS, image_id)
        else:
            side.editor.edit(ANONYMOUS, image_id, Patch.parse({"title": "x"}))
        raise Unavailable("the disk is full")

    raced = side.having(store=Interposed(side.store, before={"create": act}))
    with pytest.raises(Unavailable):
        accept(raced)
    assert (listed(side), listed(side, trashed=True)) == ([], [])
    assert not accept(side).duplicate
