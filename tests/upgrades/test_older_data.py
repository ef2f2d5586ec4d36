"""Data of older versions: this version opens, serves, changes, deletes and reconciles it.

The server of 0.1.0 wrote `self_hosted.sql`, a dump of its database, and the records (as its API answered them) and
files of `self_hosted.json`. Its adapters, on moto, wrote the items, records and objects of `on_aws.json`. The services
of a version that had no tasks yet wrote the dump, records and files of `schema_3`. Bytes are in base64. All times were
moved back by a year, and the expiry of tombstones forward by 300 years. In `both_versions.json` are items that this
version created and a worker of 0.1.0 processed, as may happen during a deployment: `again` was processed by this
version first.
"""

import base64
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.adapters.dynamodb import items
from app.api.app import create_app
from app.api.views.image import view
from app.domain.ids import is_id
from app.domain.limits import Limits
from app.domain.media import media_type_of
from app.domain.models import Image, Status, Tombstone, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.recipe import DEFAULT_RECIPE, build_recipe_id
from app.domain.uploads.requests import Upload
from app.domain.uploads.service import Uploads
from app.domain.work import LONGEST_ATTEMPT, PROCESS_DELAY, RENDERING_LIFE, Task, Work
from app.worker.jobs import Job, Processed
from app.worker.pipeline.steps import process_image
from app.worker.process import Worker
from tests.api.client import self_hosted_client
from tests.api.service import make_services
from tests.sides import SIDES, Side, side_parameters

FOLDER = Path(__file__).parent
NAMES = {
    "declared_type": "declared_content_type",
    "privacy": "privacy_report",
    "rendering": "rendering_id",
    "expires_at": "upload_expires_at",
}
#: Fields that a record of 0.1.0 does not have, or that only its API added.
ADDED = {
    "rights", "recipe_id", "links", "duplicate", "ignored_fields", "arrived_at", "last_tried_at",
    "charged_bytes",
    "visibility", "placed", "superseded", "work", "reprocess_error", "trashed_at", "source_url",
}  # fmt: skip
LIVE = ("ready", "copy", "swept", "failed", "by_ticket", "pending")


class InProcess:
    """A sandbox without a child process: the bytes are harmless."""

    def process(self, source: Path, out: Path, job: Job) -> Processed:
        return process_image(source, out, job)


@dataclass
class Old:
    """Data of an older version: its records as it showed them, by the names that the tests use."""

    side: Side
    owner: str
    records: dict[str, dict[str, Any]]
    originals: dict[str, bytes]
    scratch: Path

    def id(self, name: str) -> str:
        return str(self.records[name]["id"])

    def image(self, name: str) -> Image:
        found = self.side.images.get(self.id(name))
        assert isinstance(found, Image)
        return found

    def names(self, **query: Any) -> list[str]:
        """Names of the images listed, the oldest first."""
        page = self.side.images.list(ListQuery(owner=self.owner, limit=50, descending=False, **query))
        known = {record["id"]: name for name, record in self.records.items()}
        return [known[image.id] for image in page.items]

    def work(self, name: str) -> Image:
        """Process an image as the event of its original asks for."""
        worker = Worker(
            self.side.store, self.side.images, self.side.renderings, InProcess(),  # type: ignore[arg-type]  # it has all that is called
            recipe=DEFAULT_RECIPE, limits=Limits(), adopt=False, scratch=self.scratch, max_attempts=3,
        )  # fmt: skip
        worker.handle(self.id(name))
        return self.image(name)

    def upload(self, name: str) -> Upload:
        """An upload of the original's bytes."""
        body = self.originals[self.id(name)]
        return Upload(io.BytesIO(body), len(body), self.records[name]["sha256"], media_type_of(body[:64]) or "")


@pytest.fixture(params=[*side_parameters(), "schema 3"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    data.mkdir()
    scratch.mkdir()
    name = {"self-hosted": "self_hosted", "schema 3": "schema_3"}.get(request.param, "on_aws")
    left = json.loads((FOLDER / f"{name}.json").read_text())
    objects = {key: base64.b64decode(content) for key, content in left["objects"].items()}
    if name != "on_aws":
        write_folder(data, (FOLDER / f"{name}.sql").read_text(), objects)
    with SIDES["self-hosted" if name == "schema_3" else request.param](data) as side:
        if name == "on_aws":
            write_items(side, left["items"], objects)
        originals = {key.rpartition("/")[2]: body for key, body in objects.items() if key.startswith("originals/")}
        yield Old(side, left["records"]["ready"]["owner"], left["records"], originals, scratch)


def write_folder(data: Path, dump: str, objects: dict[str, bytes]) -> None:
    connection = sqlite3.connect(data / "darkroom.db")
    connection.executescript(dump)
    connection.close()
    for key, body in objects.items():
        (data / key).parent.mkdir(parents=True, exist_ok=True)
        (data / key).write_bytes(body)


def write_items(side: Side, left: list[dict[str, Any]], objects: dict[str, bytes]) -> None:
    images: Any = side.images
    for item in left:
        images._client.put_item(TableName=images._table, Item=item)
    for key, body in objects.items():
        side.store.put(key, io.BytesIO(body), size=len(body), content_type="image/jpeg")
    while messages := side.queue.receive(10):
        for message in messages:
            side.queue.delete(message.receipt)


def translated(record: dict[str, Any]) -> dict[str, Any]:
    """An older record under the names of this version, without its variants and what has no counterpart."""
    kept = {NAMES.get(name, name): value for name, value in record.items() if name not in {"variants", *ADDED}}
    kept["exif"] = {name: value for name, value in kept["exif"].items() if name not in {"artist", "copyright"}}
    return kept


@pytest.mark.moto
def test_records_are_read_under_their_present_names(old: Old) -> None:
    for name in (*LIVE, "open_ticket", "arrived_ticket"):
        record, image = old.records[name], old.image(name)
        shown = image.model_dump(mode="json", exclude={"variants", *ADDED})
        assert shown == translated(record), name
        shape = ("name", "format", "width", "height", "bytes")
        made = [tuple(variant[field] for field in shape) for variant in record["variants"]]
        assert [(v.name, v.format, v.width, v.height, v.bytes) for v in image.variants] == made
        assert {variant.quality for variant in image.variants} <= {None}
        assert (image.rights is None) == (image.privacy_report is None) == (image.status is not Status.READY)
        assert image.recipe_id == record.get("recipe_id")
        assert (image.visibility, image.placed) == (Visibility.PRIVATE, Visibility.PRIVATE)
        assert image.reprocess_error is None


def test_tasks_and_superseded_renderings_are_derived(old: Old) -> None:
    for name in (*LIVE, "open_ticket", "arrived_ticket"):
        image = old.image(name)
        waits, is_swept = image.status is Status.PENDING, name == "swept"
        assert set(image.work) == ({Task.PROCESS} if waits else {Task.SWEEP} if is_swept else set())
        if waits:
            assert image.work[Task.PROCESS] == Work.add(image.uploaded_at, PROCESS_DELAY)
        if is_swept:
            ((superseded, remove_after),) = image.superseded.items()
            assert superseded != image.rendering_id
            assert remove_after == image.work[Task.SWEEP].due == image.updated_at + RENDERING_LIFE
        else:
            assert image.superseded == {}
    finished, unfinished = (old.side.images.get(old.id(name)) for name in ("deleted", "half_deleted"))
    assert isinstance(finished, Tombstone)
    assert finished.is_finished
    assert isinstance(unfinished, Tombstone)
    assert set(unfinished.work) == {Task.PURGE}


def test_walks_find_all_of_them(old: Old) -> None:
    due = [old.id(name) for name in ("swept", "half_deleted", "pending", "open_ticket", "arrived_ticket")]
    assert sorted(old.side.images.due(utcnow())) == sorted(due)
    is_indexed = old.side.fetch is None  # 0.1.0 wrote no index entry for this ticket to DynamoDB
    owned = [old.id(name) for name in (*LIVE, "open_ticket", *(["arrived_ticket"] if is_indexed else []))]
    assert sorted(old.side.images.owned(old.owner)) == sorted(owned)
    assert {image.id: image for image in old.side.images.scan()} == {
        old.id(name): old.image(name) for name in (*LIVE, "open_ticket", "arrived_ticket")
    }


def test_an_update_stores_the_derived_tasks(old: Old) -> None:
    for name in (*LIVE, "open_ticket", "arrived_ticket"):
        before = old.image(name)
        work = before.work | {Task.HIDE: Work.add(utcnow())}
        after = old.side.images.update(before.id, before.version, {"work": {Task.HIDE: work[Task.HIDE]}})
        assert (after.work, after.superseded) == (work, before.superseded)
        assert old.image(name) == after
        done = old.side.images.update(before.id, after.version, {"work": dict.fromkeys(Task), "superseded": {}})
        assert (done.work, done.superseded) == ({}, {})
        assert old.image(name) == done, "nothing is derived again"
    assert list(old.side.images.due(utcnow())) == [old.id("half_deleted")]


def test_artist_and_copyright_move_from_exif_to_rights(old: Old) -> None:
    image = old.image("ready")
    assert image.rights is not None
    assert image.rights.model_dump() == {"artist": "Ann Ö. Author", "copyright": "© 2024 Ann"}
    assert image.exif == {"make": "NIKON CORPORATION", "model": "NIKON D70", "iso": 400}
    assert image.privacy_report is not None
    assert image.privacy_report.gps
    assert image.rendering_id == translated(old.records["ready"])["rendering_id"]


def test_views_and_bytes_are_served(old: Old) -> None:
    with self_hosted_client(create_app(make_services(old.side))) as client:
        fetch = old.side.fetch or client.get
        for name in LIVE:
            record = view(old.image(name), old.side.urls, "").model_dump(mode="json")
            assert not NAMES.keys() & record.keys()
            assert {"rights", "recipe_id", "embed", *NAMES.values()} <= record.keys()
            assert (record["embed"]["html"] is None) == (record["status"] != "ready")
            for variant in record["variants"]:
                assert len(fetch(variant["url"]).content) == variant["bytes"]
            assert fetch(old.side.urls.original(old.image(name))).content == old.originals[old.id(name)]


def test_lists_find_all_of_them(old: Old) -> None:
    assert old.names() == list(LIVE)
    assert old.names(status=Status.READY) == ["ready", "copy", "swept", "by_ticket"]
    assert old.names(status=Status.PENDING) == ["pending"]
    assert old.names(tags=("sea",)) == ["ready"]
    assert old.names(content_type="image/png") == ["swept"]
    assert old.side.images.versions([old.id("ready"), old.id("deleted")]) == {
        old.id("ready"): old.image("ready").version
    }
    assert set(old.side.images.open_tickets(old.owner, 10)) == {old.id("open_ticket")}


def test_known_bytes_find_their_record(old: Old) -> None:
    for name, found in (("ready", "ready"), ("copy", "ready"), ("by_ticket", "by_ticket"), ("pending", "pending")):
        accepted = Uploads(old.side.store, old.side.images).accept(old.owner, old.upload(name))
        assert (accepted.duplicate, accepted.image.id) == (True, old.id(found))


def test_an_update_changes_the_fields_named_alone(old: Old) -> None:
    for name in (*LIVE, "open_ticket", "arrived_ticket"):
        before = old.image(name)
        after = old.side.images.update(before.id, before.version, {"title": "New", "tags": ["new"]})
        assert old.image(name) == after
        changed = {"title", "tags", "version", "updated_at"}
        assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert old.names(tags=("new",)) == list(LIVE)
    assert old.names(tags=("sea",)) == []


@pytest.mark.moto
def test_images_that_wait_are_processed(old: Old) -> None:
    for name in ("pending", "arrived_ticket"):
        image = old.work(name)
        assert (image.status, image.upload_expires_at) == (Status.READY, None)
        assert image.recipe_id == build_recipe_id(DEFAULT_RECIPE)
        assert old.side.images.find_hash(old.owner, old.records[name]["sha256"]) == image.id
    assert old.names(content_type="image/jpeg", status=Status.READY)[-2:] == ["pending", "arrived_ticket"]


def test_an_image_is_processed_again_with_another_recipe(old: Old) -> None:
    before = old.image("swept")
    after = old.work("swept")
    assert after.rendering_id != before.rendering_id
    assert {*before.superseded, before.rendering_id} - {after.rendering_id} == set(after.superseded)
    assert after.privacy_report == before.privacy_report
    images: Any = old.side.images
    if hasattr(images, "_read"):  # the item itself
        assert not {"privacy", "rendering_id"} & images._read(after.id).keys()


@pytest.mark.parametrize("name", ["again", "upload", "ticket"])
def test_writes_of_a_worker_of_0_1_0_to_a_newer_record_count(name: str) -> None:
    item = json.loads((FOLDER / "both_versions.json").read_text())[name]
    image = items.read_record(items.deserialize(item), utcnow())
    assert isinstance(image, Image)
    assert (image.status, image.rendering_id, image.recipe_id) == (Status.READY, "d5ec11239862", None)
    assert list(image.superseded) == (["bf8af22bc353"] if name == "again" else [])
    assert (image.declared_content_type, image.upload_expires_at) == ("image/jpeg", None)
    assert image.privacy_report is not None
    assert image.privacy_report.gps
    assert image.rights is not None
    assert image.rights.artist == "Ann Ö. Author"
    assert "artist" not in image.exif
    written = items.changed_fields({"privacy_report": image.privacy_report, "rendering_id": "ab12"})
    assert (written["privacy"], written["rendering"]) == (None, "ab12")  # what 0.1.0 finds the variants by stays


def test_all_of_them_can_be_deleted(old: Old) -> None:
    for record in old.records.values():
        old.side.deletion.delete(old.owner, record["id"])
        assert isinstance(old.side.images.get(record["id"]), Tombstone)
    old.side.reconciler.run(now=utcnow() + LONGEST_ATTEMPT)
    assert old.side.objects() == set()
    assert old.side.unfinished() == []
    assert old.names() == []


def test_the_pointer_of_the_bytes_passes_to_the_copy(old: Old) -> None:
    old.side.deletion.delete(old.owner, old.id("ready"))
    assert old.side.images.find_hash(old.owner, old.records["ready"]["sha256"]) == old.id("copy")


def test_reconcile_finishes_what_is_unfinished(old: Old) -> None:
    assert len(old.image("swept").superseded) == 1
    report = old.side.reconciler.run()
    assert (report.queued_again, report.never_came, report.deletes_finished) == (2, 1, 1)
    assert (report.renderings_swept, report.errors) == (1, 0)
    assert old.side.images.get(old.id("open_ticket")) is None
    assert (old.image("swept").superseded, old.image("swept").work) == ({}, {})
    tombstone = old.side.images.get(old.id("half_deleted"))
    assert isinstance(tombstone, Tombstone)
    assert tombstone.is_finished
    assert all(is_id(key.split("/")[1]) for key in old.side.objects())
