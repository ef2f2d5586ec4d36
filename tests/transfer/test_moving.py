"""An export, imported into an empty installation, gives equal records and bytes on both sides and across."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import Image, Status, Tombstone, Visibility, utcnow
from app.domain.work import Task
from tests.contract.records import tombstone_of
from tests.running_server import Server, finished, serving
from tests.samples import encoded
from tests.transfer.installations import Installation, installation, leave_out, place, populate, put, state, stored

SIDES = ("self-hosted", "moto")
PAIRS = [
    pytest.param((first, second), marks=[pytest.mark.slow] if "moto" in {first, second} else [], id=f"{first}-{second}")
    for first in SIDES
    for second in SIDES
]


@pytest.fixture(params=[*SIDES, pytest.param("engines", marks=pytest.mark.engines)])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    with installation(request.param, tmp_path / "source") as opened:
        yield opened


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    with installation("self-hosted", tmp_path / "source") as opened:
        yield opened


@contextlib.contextmanager
def empty(name: str, tmp_path: Path) -> Iterator[Installation]:
    with installation(name, tmp_path / f"target-{new_id()}") as opened:
        yield opened


def drain(target: Installation) -> set[str]:
    """Return the ids that the events in the queue name, and empty it."""
    named = set()
    while messages := target.side.queue.receive(10):
        for message in messages:
            for record in json.loads(message.body).get("Records", ()):
                named.add(record["s3"]["object"]["key"].rpartition("/")[2])
            target.side.queue.delete(message.receipt)
    return named


def move(source: Installation, target: Installation, folder: Path) -> None:
    images = populate(source.side)
    left = leave_out(source.side)
    exported = source.report("export", folder)
    assert (exported["images"], exported["unfinished"], exported["complete"]) == (len(images), 2, True)
    assert exported["failed"] == exported["originals_missing"] == exported["damaged"] == 0
    before = state(source.side, images)
    for image in left[:2]:  # which count
        source.side.images.remove(image.id, 1)
    before = state(source.side, images)
    imported = target.report("import", folder)
    assert (imported["restored"], imported["refused"], imported["damaged_variants"]) == (len(images), 0, 0)
    after = state(target.side, images)
    for part, value in before.items():
        assert after[part] == value, part
    assert all(target.side.images.get(image.id) is None for image in left)
    unfinished = {images[name].id for name in ("again", "pending", "arrived")}
    assert drain(target) >= unfinished
    again = target.report("import", folder)
    assert (again["unchanged"], again["restored"], again["completed"]) == (len(images), 0, 0)
    assert state(target.side, images) == before
    assert drain(target) == set()


@pytest.mark.parametrize("pair", PAIRS)
def test_an_installation_is_moved(pair: tuple[str, str], tmp_path: Path) -> None:
    with installation(pair[0], tmp_path / "source") as source, empty(pair[1], tmp_path) as target:
        move(source, target, tmp_path / "export")


@pytest.mark.engines
@pytest.mark.parametrize("pair", [("self-hosted", "engines"), ("engines", "self-hosted"), ("engines", "engines")])
def test_an_installation_is_moved_on_real_engines(pair: tuple[str, str], tmp_path: Path) -> None:
    with installation(pair[0], tmp_path / "source") as source, empty(pair[1], tmp_path) as target:
        move(source, target, tmp_path / "export")


def test_settled_images_are_not_processed_again(here: Installation, tmp_path: Path) -> None:
    """Self-hosted, only unfinished images get an event."""
    images = populate(here.side)
    drain(here)
    here.report("export", tmp_path / "export")
    with empty("self-hosted", tmp_path) as target:
        target.report("import", tmp_path / "export")
        assert drain(target) == {images[name].id for name in ("again", "pending", "arrived")}


def test_a_second_export_writes_only_changes(source: Installation, tmp_path: Path) -> None:
    images = populate(source.side)
    folder = tmp_path / "export"
    first = source.report("export", folder)
    assert (first["copied"], first["unchanged"]) == (28, 2)  # a rendering at two places is one file each
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    second = source.report("export", folder)
    assert (second["copied"], second["unchanged"], second["images"]) == (0, first["copied"] + 2, len(images))
    kept = {path for path in times if path.exists() and path.stat().st_mtime_ns == times[path]}
    assert {path.name.partition("-")[0] for path in times.keys() - kept} == {"manifest.json", "records"}
    new = place(source.side, 90, renderings=("aa11",), status=Status.READY)
    changed = images["private"]
    source.side.images.update(changed.id, changed.version, {"title": "Another title"})
    source.side.images.delete(images["failed"].id, images["failed"].version, tombstone_of(images["failed"]))
    third = source.report("export", folder)
    assert (third["copied"], third["images"]) == (3, len(images))
    with empty("self-hosted", tmp_path) as target:
        target.report("import", folder)
        assert target.side.images.get(images["failed"].id) is None
        assert target.side.images.get(new.id) == new
        found = target.side.images.get(changed.id)
        assert isinstance(found, Image)
        assert (found.title, found.version) == ("Another title", changed.version + 1)


def test_visibility_changes_move_no_file_of_the_export(here: Installation, tmp_path: Path) -> None:
    image = place(here.side, 1, renderings=("aa11",), status=Status.READY)
    folder = tmp_path / "export"
    here.report("export", folder)
    here.side.editor.change(None, image.id, lambda _: {"visibility": Visibility.PUBLIC})
    assert here.report("export", folder)["copied"] == 0
    with empty("self-hosted", tmp_path) as target:
        target.report("import", folder)
        assert stored(target.side) == stored(here.side)


def test_lost_and_damaged_originals_are_reported(here: Installation, tmp_path: Path) -> None:
    lost, damaged = (place(here.side, seed, renderings=("aa11",), status=Status.READY) for seed in (1, 2))
    here.side.store.delete(original_key(lost.id))
    put(here.side, original_key(damaged.id), b"other bytes")
    done = here.run("export", tmp_path / "export")
    assert done.exit_code == 1
    assert f"{lost.id}: the original is missing" in done.stderr
    assert f"{damaged.id}: the original differs from the hash in its record" in done.stderr
    assert "1 originals missing, 1 originals damaged" in done.stdout
    with empty("self-hosted", tmp_path) as target:
        assert target.report("import", tmp_path / "export")["restored"] == 2
        assert stored(target.side) == stored(here.side)
        assert target.side.images.get(lost.id) == lost


def test_lost_variants_are_reported(here: Installation, tmp_path: Path) -> None:
    image = place(here.side, 1, renderings=("aa11",), status=Status.READY)
    here.side.store.delete(f"processed/{image.id}/aa11/w16.jpg")
    done = here.run("export", tmp_path / "export")
    assert done.exit_code == 1
    assert f"{image.id}: variants are missing" in done.stderr
    assert "1 without variants" in done.stdout


def test_images_that_were_deleted_or_have_other_bytes_stay(source: Installation, tmp_path: Path) -> None:
    images = populate(source.side)
    folder = tmp_path / "export"
    source.report("export", folder)
    gone, other = images["private"], images["failed"]
    with empty("self-hosted", tmp_path) as target:
        mine = place(target.side, 50, id=other.id, owner="ann", status=Status.FAILED, work={})
        stray = images["pending"]
        put(target.side, original_key(stray.id), b"stray bytes")
        target.side.images.create(gone, claim=False)
        target.side.images.delete(gone.id, gone.version, tombstone_of(gone))
        done = target.run("import", folder)
        assert done.exit_code == 1
        assert f"{gone.id}: it was deleted in this installation" in done.stderr
        assert f"{other.id}: the id exists with other bytes" in done.stderr
        assert f"{stray.id}: the store has other bytes under this id" in done.stderr
        assert "3 refused" in done.stdout
        assert target.side.images.get(other.id) == mine
        assert isinstance(target.side.images.get(gone.id), Tombstone)
        assert target.side.images.get(stray.id) is None
        with target.side.store.open(original_key(stray.id)) as body:
            assert body.read() == b"stray bytes"


def test_an_image_that_has_changed_since_keeps_its_changes(here: Installation, tmp_path: Path) -> None:
    image = place(here.side, 1, renderings=("aa11",), status=Status.READY)
    here.report("export", tmp_path / "export")
    with empty("self-hosted", tmp_path) as target:
        target.report("import", tmp_path / "export")
        target.side.images.update(image.id, image.version, {"title": "Newer"})
        target.side.store.delete(original_key(image.id))
        assert target.report("import", tmp_path / "export")["completed"] == 1
        found = target.side.images.get(image.id)
        assert isinstance(found, Image)
        assert found.title == "Newer"
        assert stored(target.side) == stored(here.side)


def test_a_damaged_variant_is_rendered_again_and_a_damaged_original_is_refused(
    here: Installation, tmp_path: Path
) -> None:
    first, second = (place(here.side, seed, renderings=("aa11",), status=Status.READY) for seed in (1, 2))
    folder = tmp_path / "export"
    here.report("export", folder)
    variant = next(folder.glob(f"variants/*/{first.id}/aa11/w32.webp"))
    variant.write_bytes(bytes(variant.stat().st_size))
    original = next(folder.glob(f"originals/*/{second.id}"))
    original.write_bytes(original.read_bytes()[:-1])
    with empty("self-hosted", tmp_path) as target:
        done = target.run("import", folder)
        assert done.exit_code == 1
        assert f"{first.id}: variants/{first.id[-2:]}/{first.id}/aa11/w32.webp is missing or damaged" in done.stderr
        assert f"{second.id}: originals/{second.id[-2:]}/{second.id} is missing or damaged" in done.stderr
        found = target.side.images.get(first.id)
        assert isinstance(found, Image)
        assert Task.PROCESS in found.work
        assert drain(target) == {first.id}
        assert target.side.images.get(second.id) is None
        assert not [key for key in target.side.objects() if second.id in key]


def test_a_record_that_reconcile_removes_meanwhile_returns(here: Installation, tmp_path: Path) -> None:
    """A `pending` record without bytes is removed an hour after its last change, which may be before the import."""
    old = place(here.side, 4, owner="anonymous", updated_at=utcnow().replace(year=2025))
    here.report("export", tmp_path / "export")
    with empty("self-hosted", tmp_path) as target:
        target.report("import", tmp_path / "export")
        assert target.side.reconciler.run().never_came == 0
        assert target.side.images.get(old.id) is not None


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "command"), [("GetObject", "export"), ("PutObject", "import")])
def test_rights_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, command: str
) -> None:
    with installation("moto", tmp_path / "source") as source:
        for seed in range(25):
            place(source.side, seed, renderings=("aa11",), status=Status.READY)
        if command == "import":
            source.report("export", tmp_path / "export")
            for key in source.side.objects():
                source.side.store.delete(key)
        call = BaseClient._make_api_call

        def refuse(client: Any, name: str, arguments: Any) -> Any:
            if name == operation:
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, name)
            return call(client, name, arguments)

        monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
        done = source.run(command, tmp_path / "export")
    assert done.exit_code == 4
    error, cause, remedy = done.stderr.splitlines()[-3:]
    assert error == "error: a store refused or did not answer"
    assert "images in a row" in cause
    assert remedy.startswith("try: give this user the right")


@pytest.mark.slow
def test_a_running_server_takes_over_the_images_of_another(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with serving(old, DARKROOM_TRASH_DAYS="7") as server, installation("self-hosted", tmp_path / "other") as unused:
        sent = [
            server.client.post(
                "/upload", files={"file": (f"{seed}.jpg", encoded("JPEG", 640, 480, seed=seed))},
                data={"tags": "sea", "title": f"Image {seed}", "visibility": "public" if seed % 2 else "private"},
            ).json()
            for seed in range(6)
        ]  # fmt: skip
        assert {finished(server, image["id"])["status"] for image in sent} == {"ready"}
        server.client.delete(f"/images/{sent[0]['id']}").raise_for_status()
        settings = {name: value for name, value in server.environment.items() if name.startswith("DARKROOM_")}
        assert unused.report("export", tmp_path / "export", **settings)["images"] == 6
        before = {image["id"]: server.client.get(f"/images/{image['id']}").json() for image in sent}
        files = {image_id: files_of(server, record) for image_id, record in before.items()}
    with serving(new, DARKROOM_TRASH_DAYS="7") as server, installation("self-hosted", tmp_path / "others") as unused:
        settings = {name: value for name, value in server.environment.items() if name.startswith("DARKROOM_")}
        assert unused.report("import", tmp_path / "export", **settings)["restored"] == 6
        for image_id, record in before.items():
            found = server.client.get(f"/images/{image_id}").json()
            signed = ("variants", "links", "embed", "urls_expire_at")
            assert {name: found[name] for name in found if name not in signed} == {
                name: record[name] for name in record if name not in signed
            }
            assert files_of(server, found) == files[image_id]
        again = {"file": ("again.jpg", encoded("JPEG", 640, 480, seed=3))}
        assert server.client.post("/upload", files=again).json()["id"] == sent[3]["id"]
        listed = server.client.get("/images", params={"tag": "sea"}).json()["items"]
        assert {image["id"] for image in listed} == {image["id"] for image in sent[1:]}


def files_of(server: Server, record: dict[str, Any]) -> list[bytes]:
    """Return the bytes of the original and of every variant, as the server sends them."""
    urls = [f"/images/{record['id']}/original", *(variant["url"] for variant in record["variants"])]
    answers = [server.client.get(url, follow_redirects=True) for url in urls]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.content for answer in answers]
