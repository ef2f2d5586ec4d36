"""`darkroom migrate` on data of 0.1.0: images get a visibility, and variants of public ones move, on both sides."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.adapters.dynamodb.pointers import build_pointers
from app.api.app import create_app
from app.api.http.public_address import BasePath
from app.api.views.image import view
from app.domain.errors import Unavailable
from app.domain.images.editing import Editor
from app.domain.images.renderings import Renderings
from app.domain.images.similar import LookAlikeSearch
from app.domain.keys import variant_key
from app.domain.maintenance.migration import Migration, MigrationReport, has_visibility
from app.domain.models import Changes, Format, Image, Status, Variant, Visibility, utcnow
from app.domain.work import Task
from tests.api.client import self_hosted_client
from tests.api.service import make_services
from tests.contract.races import eventually
from tests.contract.records import PROCESSED, an_image
from tests.sides import Interposed, Side, once
from tests.upgrades.test_older_data import LIVE, Old, old  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

# ruff: noqa: F811 - the fixture as a parameter


VARIANT = Variant(name="w9", format=Format.WEBP, width=9, height=9, bytes=3, file="w9.webp")
READY = ("ready", "copy", "swept", "by_ticket")
RECORDS = (*LIVE, "open_ticket", "arrived_ticket")


def never(_: float) -> bool:
    return False


def migrate(
    side: Side, visibility: Visibility = Visibility.PUBLIC, pause: Callable[[float], bool] = never, **options: Any
) -> MigrationReport:
    return Migration(side.images, side.editor, visibility).run(pause=pause, **options)


def fetched(old: Old, name: str) -> list[int]:
    """Sizes of the variants, read from their urls as a browser does."""
    with self_hosted_client(create_app(make_services(old.side))) as client:
        shown = view(old.image(name), old.side.urls, BasePath())
        urls = [variant.url for variant in shown.variants]
        # Without a CDN, the urls of a bucket that last are those of the API.
        urls = [client.get(url).headers["location"] if url.startswith("/images/") else url for url in urls]
        return [len((old.side.fetch or client.get)(url).content) for url in urls]


@pytest.mark.moto
def test_images_become_public_and_their_variants_move(old: Old) -> None:
    before = {name: old.image(name) for name in RECORDS}
    report = migrate(old.side)
    assert (report.migrated, report.unchanged, report.failed, report.complete) == (len(RECORDS), 0, 0, True)
    for name in RECORDS:
        image = old.image(name)
        assert image.visibility is Visibility.PUBLIC
        if name in READY:
            assert image.placed is Visibility.PUBLIC
            assert fetched(old, name) == [variant.bytes for variant in image.variants]
            kept = {f"processed/{image.id}/{image.rendering_id}/{variant.file}" for variant in image.variants}
            assert kept <= old.side.objects()  # pages that were rendered a moment ago show these
        moved = {"visibility", "placed", "superseded", "work", "version", "updated_at"}
        assert image.model_dump(exclude=moved) == before[name].model_dump(exclude=moved)


def test_urls_of_0_1_0_in_pages_keep_working(old: Old) -> None:
    """Without API keys a server of 0.1.0 signed no url, so pages have stored them."""
    if old.side.fetch is not None:
        return  # urls of a bucket were signed or on a CDN
    image = old.image("ready")
    paths = [f"/files/processed/{image.id}/{image.rendering_id}/{variant.file}" for variant in image.variants]
    with self_hosted_client(create_app(make_services(old.side))) as client:
        assert {client.get(path).status_code for path in paths} == {403}
        migrate(old.side)
        old.side.reconciler.run(now=utcnow() + timedelta(hours=25))
        for path, variant in zip(paths, image.variants, strict=True):
            assert client.get(path).status_code == 307
            assert len(client.get(path, follow_redirects=True).content) == variant.bytes
        old.side.editor.edit(None, image.id, SetVisibility(Visibility.PRIVATE))
        assert {client.get(path).status_code for path in paths} == {403}


class SetVisibility:
    """Patch of the visibility."""

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility

    def apply(self, image: Image) -> Changes:
        return {"visibility": self._visibility}


def test_private_copies_are_swept_a_day_later(old: Old) -> None:
    migrate(old.side)
    old.side.reconciler.run(now=utcnow() + timedelta(hours=25))
    for name in READY:
        image = old.image(name)
        assert not [key for key in old.side.objects() if key.startswith(f"processed/{image.id}/")]
        assert fetched(old, name) == [variant.bytes for variant in image.variants]
        assert Task.HIDE not in image.work


def test_images_stay_private(old: Old) -> None:
    objects = old.side.objects()
    report = migrate(old.side, Visibility.PRIVATE)
    assert (report.migrated, report.failed) == (len(RECORDS), 0)
    for name in RECORDS:
        assert has_visibility(old.image(name))
        assert (old.image(name).visibility, old.image(name).placed) == (Visibility.PRIVATE, Visibility.PRIVATE)
    assert old.side.objects() == objects
    # Another run, such as one after keys were switched off, publishes nothing.
    assert migrate(old.side).migrated == 0


def test_it_can_be_repeated(old: Old) -> None:
    migrate(old.side)
    before = {name: old.image(name) for name in RECORDS}
    report = migrate(old.side)
    assert (report.migrated, report.unchanged) == (0, len(RECORDS))
    assert {name: old.image(name) for name in RECORDS} == before


def test_an_image_in_the_trash_is_public_once_it_is_restored(old: Old) -> None:
    image = old.image("ready")
    old.side.trash().delete(None, image.id)
    report = migrate(old.side)
    assert (report.migrated, report.failed) == (len(RECORDS), 0)
    assert (old.image("ready").visibility, old.image("ready").placed) == (Visibility.PUBLIC, Visibility.PRIVATE)
    old.side.trash().restore(None, image.id)
    assert old.image("ready").placed is Visibility.PUBLIC
    assert fetched(old, "ready") == [variant.bytes for variant in image.variants]


def test_a_dry_run_counts_only(old: Old) -> None:
    before = {name: old.image(name) for name in RECORDS}, old.side.objects()
    report = migrate(old.side, dry_run=True)
    assert (report.migrated, report.looked_at, report.complete) == (len(RECORDS), len(RECORDS), True)
    assert ({name: old.image(name) for name in RECORDS}, old.side.objects()) == before


@pytest.mark.parametrize("stops", [0, 1, 4])
def test_it_is_stopped_and_continued(old: Old, stops: int) -> None:
    left = stops

    def pause(_: float) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    first = migrate(old.side, pause=pause)
    assert (first.migrated, first.complete) == (stops, False)
    second = migrate(old.side, after=first.last_id)
    assert (second.migrated, second.unchanged) == (len(RECORDS) - stops, 0)
    assert all(has_visibility(old.image(name)) for name in RECORDS)


class Killed(BaseException):
    """The end of the process. Nothing that handles errors sees it."""


@pytest.mark.parametrize("copies", [0, 1, 7])
def test_a_run_that_is_killed_is_repeated(old: Old, copies: int) -> None:
    """It ends before a copy, in several threads at once."""
    left = [None] * copies

    def kill(*_: Any) -> None:
        try:
            left.pop()
        except IndexError:
            raise Killed from None

    store = Interposed(old.side.store, before={"copy": kill})
    with pytest.raises(Killed):
        migrate(old.side.having(store=store))
    report = migrate(old.side)
    assert report.complete
    assert report.failed == 0
    for name in READY:
        assert fetched(old, name) == [variant.bytes for variant in old.image(name).variants]
    for hours in (2, 30, 60):
        old.side.reconciler.run(now=utcnow() + timedelta(hours=hours))
    shown = {
        variant_key(image.id, image.rendering_id or "", variant.file, public=True)
        for image in map(old.image, READY)
        for variant in image.variants
    }
    assert shown <= old.side.objects()
    ids = {old.id(name) for name in READY}
    assert {key for key in old.side.objects() if any(f"processed/{image_id}/" in key for image_id in ids)} == set()


def test_images_of_this_version_keep_their_visibility(old: Old) -> None:
    private = an_image(owner=old.owner, visibility=Visibility.PRIVATE)
    old.side.images.create(private, claim=False)
    edited = old.image("ready")
    old.side.images.update(edited.id, edited.version, {"visibility": Visibility.PRIVATE})
    report = migrate(old.side)
    assert (report.migrated, report.unchanged) == (len(RECORDS) - 1, 2)
    for image_id in (private.id, edited.id):
        found = old.side.images.get(image_id)
        assert isinstance(found, Image)
        assert found.visibility is Visibility.PRIVATE


@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_visibility_that_is_chosen_meanwhile_counts(old: Old, visibility: Visibility) -> None:
    """The owner makes the image private, or deletes another one, between its scan and its turn."""
    image_id, gone = old.id("ready"), old.id("copy")

    def change() -> None:
        found = old.image("ready")
        old.side.images.update(image_id, found.version, {"visibility": Visibility.PRIVATE})
        old.side.deletion.delete(None, gone)

    first = once(change)
    images = Interposed(old.side.images, before={"get": lambda *_: first()})
    side = old.side.having(images=images)
    Migration(images, Editor(images, side.queue, old.side.renderings), visibility).run(pause=never)
    assert old.image("ready").visibility is Visibility.PRIVATE
    assert not [key for key in old.side.objects() if key.startswith(f"processed/public/{image_id}/")]
    assert not [key for key in old.side.objects() if gone in key]


def test_an_image_without_its_variants_is_rendered_again(old: Old) -> None:
    image = old.image("ready")
    old.side.store.delete_prefix(f"processed/{image.id}/")
    report = migrate(old.side)
    assert (report.failed, report.migrated, report.complete) == (0, len(RECORDS), True)
    assert Task.PROCESS in old.image("ready").work
    after = old.work("ready")
    assert (after.placed, Task.PROCESS in after.work) == (Visibility.PUBLIC, False)
    assert fetched(old, "ready") == [variant.bytes for variant in after.variants]


def test_an_image_that_cannot_be_moved_is_counted_and_the_others_go_on(old: Old) -> None:
    stuck = old.id("ready")

    def refuse(source: str, *_: Any) -> None:
        if stuck in source:
            raise Unavailable("The store cannot be reached.")

    store = Interposed(old.side.store, before={"copy": refuse})
    report = migrate(old.side.having(store=store))
    assert (report.failed, report.migrated, report.complete) == (1, len(RECORDS) - 1, True)
    assert not has_visibility(old.image("ready"))
    assert not [key for key in old.side.objects() if key.startswith("processed/public/") and stuck in key]
    assert migrate(old.side, after=report.last_id).migrated == 1
    assert all(has_visibility(old.image(name)) for name in RECORDS)


def test_a_store_that_fails_ends_the_run(side_with_many: Side) -> None:
    def refuse(*_: Any) -> None:
        raise Unavailable("The store cannot be reached.")

    side = side_with_many
    store = Interposed(side.store, before={"copy": refuse})
    editor = Editor(side.images, side.queue, Renderings(store, side.images))
    run = Migration(side.images, editor, Visibility.PUBLIC)
    with pytest.raises(Unavailable):
        run.run(pause=never)
    assert run.report.complete is False
    ready = {image.id for image in side.images.scan() if image.status is Status.READY}
    assert not any(has_visibility(image) for image in side.images.scan() if image.id in ready)
    rest = migrate(side, after=run.report.last_id)
    assert rest.complete
    assert all(has_visibility(image) for image in side.images.scan())


@pytest.fixture
def side_with_many(old: Old) -> Side:
    """More ready images of 0.1.0 than a run lets fail one after the other."""
    for _ in range(100):
        image = an_image(owner=old.owner)
        old.side.images.create(image, claim=False)
        key = variant_key(image.id, "abcdef012345", VARIANT.file)
        old.side.store.put(key, io.BytesIO(b"abc"), size=3, content_type="image/webp")
        old.side.images.update(image.id, 1, PROCESSED | {"rendering_id": "abcdef012345", "variants": [VARIANT]})
        forget_visibility(old.side, image.id)
    return old.side


def forget_visibility(side: Side, image_id: str) -> None:
    """Make the stored record one of 0.1.0 as far as its visibility goes."""
    images: Any = side.images
    if hasattr(images, "_database"):
        with images._database.writing() as connection:
            removed = "json_remove(document, '$.visibility', '$.placed')"
            connection.execute(f"UPDATE images SET document = {removed} WHERE id = ?", (image_id,))
    else:
        images._client.update_item(
            TableName=images._table, Key={"ImageID": {"S": image_id}}, UpdateExpression="REMOVE visibility, placed"
        )


def test_a_ready_image_that_was_pending_is_public_from_the_start(old: Old) -> None:
    migrate(old.side)
    image = old.work("pending")
    assert (image.status, image.placed) == (Status.READY, Visibility.PUBLIC)
    assert fetched(old, "pending") == [variant.bytes for variant in image.variants]


def look_alikes(old: Old, name: str) -> list[tuple[int, str]]:
    """Names of the look-alikes, with their distances."""
    known = {record["id"]: name for name, record in old.records.items()}
    found = LookAlikeSearch(old.side.images).find(old.image(name), 6, 10)
    return [(each.distance, known[each.image.id]) for each in found.items]


@pytest.mark.parametrize("visibility", list(Visibility))
def test_images_are_found_by_their_looks_and_their_visibility(old: Old, visibility: Visibility) -> None:
    assert migrate(old.side, visibility).failed == 0
    eventually(lambda: look_alikes(old, "ready"), [(0, "copy"), (2, "by_ticket")])
    eventually(lambda: old.names(visibility=visibility), old.names())
    assert set(old.names()) == set(LIVE)
    second = migrate(old.side, visibility)
    assert (second.indexed, second.failed, second.complete) == (0, 0, True)


def test_images_that_have_a_visibility_are_indexed_too(old: Old) -> None:
    """A version with visibility, and without look-alikes, wrote them."""
    migrate(old.side)
    before = {name: old.image(name) for name in RECORDS}
    for name in ("ready", "copy"):
        forget_entries(old.side, old.image(name))
    eventually(lambda: look_alikes(old, "by_ticket"), [])
    dry = migrate(old.side, dry_run=True)
    assert (dry.indexed, look_alikes(old, "by_ticket")) == (0, [])
    report = migrate(old.side)
    assert (report.migrated, report.unchanged, report.indexed) == (0, len(RECORDS), 2)
    eventually(lambda: look_alikes(old, "by_ticket"), [(2, "copy"), (2, "ready")])
    assert {name: old.image(name) for name in RECORDS} == before


def test_images_that_change_meanwhile_are_indexed(old: Old) -> None:
    """One is edited and one is deleted between their reading and the writing of their entries."""
    migrate(old.side)
    image, gone = old.image("ready"), old.image("copy")
    for each in (image, gone):
        forget_entries(old.side, each)

    def change() -> None:
        old.side.images.update(image.id, image.version, {"title": "New"})
        old.side.deletion.delete(None, gone.id)

    first = once(change)
    images = Interposed(old.side.images, before={"reindex": lambda *_: first()})
    report = Migration(images, old.side.editor, Visibility.PUBLIC).run(pause=never)
    assert (report.failed, report.complete) == (0, True)
    eventually(lambda: look_alikes(old, "by_ticket"), [(2, "ready")])


def test_a_ticket_that_another_one_has_replaced_does_not_take_its_place(old: Old) -> None:
    tickets = [
        an_image(owner=old.owner, sha256=f"{7:064x}", upload_expires_at=utcnow() + timedelta(days=1)) for _ in range(2)
    ]
    for ticket in tickets:
        old.side.images.create(ticket, claim=False)
    assert migrate(old.side).failed == 0
    assert old.side.images.find_ticket(old.owner, f"{7:064x}") == tickets[1].id


def forget_entries(side: Side, image: Image) -> None:
    """Remove the index entries for look-alikes."""
    images: Any = side.images
    if hasattr(images, "_database"):
        with images._database.writing() as connection:
            connection.execute("DELETE FROM entries WHERE image = ? AND kind = 'band'", (image.id,))
    else:
        for key in build_pointers(image):
            if key.startswith("band#"):
                images._client.delete_item(TableName=images._table, Key={"ImageID": {"S": key}})
