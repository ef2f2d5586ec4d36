"""Every call of the client against the real server: with keys, a trash, tickets, and files of every kind."""

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image as Pillow

import darkroom
from app.domain.access.api_keys import Scope, new_key
from darkroom import Client, FocalPoint, sources
from tests.running_server import Server, serving, wait_for
from tests.samples import encoded
from tests.samples import photo as picture

pytestmark = pytest.mark.slow

UNKNOWN = "01a21211-8a9b-7bc8-801b-cadcca2023b7"


@pytest.fixture(scope="module")
def keys() -> dict[str, tuple[str, Any]]:
    """Return keys and their entries in the settings, by name."""
    scopes = {
        "all": [Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE],
        "upload": [Scope.UPLOAD],
        "read": [Scope.READ],
        "admin": [Scope.ADMIN],
    }
    return {name: new_key("ops" if name == "admin" else "ann", wanted) for name, wanted in scopes.items()}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, tuple[str, Any]]) -> Iterator[Server]:
    """A server that requires keys and has a trash."""
    settings = {
        "DARKROOM_AUTH": "required",
        "DARKROOM_API_KEYS": ",".join(str(entry) for _, entry in keys.values()),
        "DARKROOM_TRASH_DAYS": "7",
        "DARKROOM_MAX_UPLOAD_BYTES": "5000000",
    }
    with serving(tmp_path_factory.mktemp("guarded") / "data", **settings) as running:
        yield running


@pytest.fixture
def ann(guarded: Server, keys: dict[str, tuple[str, Any]]) -> Iterator[Client]:
    with Client(guarded.url, keys["all"][0]) as made:
        yield made


@pytest.fixture(params=["form", "ticket"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Send images in a form, or with a ticket, as behind a gateway that accepts only 100 bytes."""
    if request.param == "ticket":
        limits = Client._known_limits
        monkeypatch.setattr(Client, "_known_limits", lambda self: replace(limits(self), max_upload_bytes=100))
    return str(request.param)


_seed = iter(range(1000, 10_000))


def unseen(width: int = 64, height: int = 48, **options: Any) -> bytes:
    """Return an image that no test has uploaded."""
    return encoded("JPEG", width, height, next(_seed), **options)


def noise(size: int) -> bytes:
    """Return a PNG of about this number of bytes."""
    side = int((size / 3) ** 0.5)
    out = io.BytesIO()
    Pillow.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(out, "PNG")
    return out.getvalue()


def test_an_upload_has_its_description_and_its_sizes(ann: Client, way: str) -> None:
    body = unseen(800, 600)
    image = ann.upload(
        body,
        filename='a "quoted"\r\nname é.jpg',
        title="Lighthouse",
        alt="A lighthouse",
        tags=["sea", "dusk"],
        metadata={"album": "7"},
        visibility="public",
        focal_point=FocalPoint(x=0.25, y=0.5),
        wait=60,
    )
    assert (image.status, image.width, image.height, image.bytes) == ("ready", 800, 600, len(body))
    assert (image.title, image.alt, image.tags, image.metadata) == (
        "Lighthouse", "A lighthouse", ("sea", "dusk"), {"album": "7"},
    )  # fmt: skip
    assert (image.visibility, image.focal_point, image.owner) == ("public", FocalPoint(x=0.25, y=0.5), "ann")
    assert image.filename == 'a "quoted"name é.jpg'
    assert image.sha256 == hashlib.sha256(body).hexdigest()
    assert {variant.format for variant in image.variants} >= {"webp", "jpeg"}
    assert {variant.quality for variant in image.variants if variant.format == "webp"} == {82}
    assert image.embed.html is not None
    assert image.uploaded_at is not None
    assert datetime.now(UTC) - image.uploaded_at < timedelta(minutes=5)
    assert image == ann.get(image.id)


def test_an_image_is_sent_once(ann: Client, way: str, tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    path.write_bytes(noise(900_000))
    sent: list[tuple[int, int]] = []
    image = ann.upload(path, wait=60, tags=["noise"], progress=lambda *done: sent.append(done))
    length = path.stat().st_size
    assert (image.status, image.duplicate, image.filename, image.tags) == ("ready", False, "noise.png", ("noise",))
    assert sent[-1] == (length, length)
    assert [done for done, _ in sent] == sorted(done for done, _ in sent)
    sent.clear()
    again = ann.upload(path, progress=lambda *done: sent.append(done))
    assert (again.id, again.duplicate, sent) == (image.id, True, [])
    received = io.BytesIO()
    assert ann.download(image.id, received) == length
    assert received.getvalue() == path.read_bytes()


def test_a_copy_is_made_on_request(ann: Client) -> None:
    body = unseen()
    first, second = ann.upload(body, wait=60), ann.upload(body, on_duplicate="create", wait=60)
    assert first.id != second.id
    assert (second.status, second.duplicate, second.sha256) == ("ready", False, first.sha256)
    with pytest.raises(darkroom.InvalidArgument):
        ann.upload(body, on_duplicate="copy")  # type: ignore[arg-type]


def test_an_image_that_is_too_large_is_refused(ann: Client, way: str) -> None:
    with pytest.raises(darkroom.Refused) as found:
        ann.upload(noise(5_200_000))
    assert (found.value.code, found.value.status, found.value.limit) == ("too_large", 413, 5_000_000)


def test_bytes_in_another_format_are_refused_and_a_broken_image_fails(ann: Client) -> None:
    with pytest.raises(darkroom.Refused) as found:
        ann.upload(b"<svg xmlns='http://www.w3.org/2000/svg'/>", filename="logo.svg")
    assert (found.value.code, found.value.value) == ("unsupported_type", "image/svg+xml")
    assert "image/jpeg" in found.value.limit
    image = ann.upload(unseen(300, 200)[:800], wait=60)
    assert image.status == "failed"
    assert image.error is not None
    assert image.error.code == "corrupt_image"


def test_files_pipes_and_positions(ann: Client, tmp_path: Path) -> None:
    body = unseen()
    path = tmp_path / "in a file.jpg"
    path.write_bytes(b"before" + body)
    with path.open("rb") as file:
        file.seek(6)
        image = ann.upload(file)
    assert (image.sha256, image.filename) == (hashlib.sha256(body).hexdigest(), "in a file.jpg")
    reading, writing = os.pipe()
    piped = unseen()
    with os.fdopen(reading, "rb") as out, os.fdopen(writing, "wb") as into:
        into.write(piped)
        into.close()
        image = ann.upload(out, filename="piped.jpg")
    assert (image.sha256, image.filename) == (hashlib.sha256(piped).hexdigest(), "piped.jpg")


def test_sources_that_cannot_be_read_are_errors_of_files(ann: Client, tmp_path: Path) -> None:
    text, empty, fifo = tmp_path / "text.jpg", tmp_path / "empty.jpg", tmp_path / "fifo.jpg"
    text.write_text("text")
    empty.touch()
    os.mkfifo(fifo)
    expected: list[tuple[Any, str]] = [
        (tmp_path / "missing.jpg", "missing.jpg cannot be read: No such file or directory."),
        (tmp_path, "cannot be read: Is a directory."),
        (empty, "empty.jpg is empty."),
        (fifo, "fifo.jpg is not a regular file"),
        ("nul\0.jpg", "cannot be read"),
        (b"", "The image is empty."),
        (io.StringIO("text"), "Open it in binary mode."),
        (text.open(), "Open it in binary mode."),
        (7, "Expected a path, bytes or a binary file (found: int)."),
    ]
    for source, detail in expected:
        with pytest.raises(darkroom.FileError) as found:
            ann.upload(source)
        assert detail in str(found.value)
    expected[-2][0].close()


def test_lists_are_filtered_and_read_to_the_end(ann: Client) -> None:
    begun = datetime.now(UTC)
    made = [ann.upload(unseen(), tags=["listed", f"n{number}"], wait=60).id for number in range(5)]
    listed = [image.id for image in ann.images(tag="listed", page_size=2)]
    assert listed == made[::-1]
    assert [image.id for image in ann.images(tag=["listed", "n3"], order="asc")] == [made[3]]
    assert {image.id for image in ann.images(uploaded_after=begun, status="ready")} == set(made)
    assert list(ann.images(uploaded_before=begun, tag="listed")) == []
    assert list(ann.images(tag="listed", visibility="public", content_type="image/png")) == []
    with pytest.raises(darkroom.InvalidArgument, match="uploaded_after needs a time zone"):
        list(ann.images(uploaded_after=datetime(2026, 1, 1)))  # noqa: DTZ001 - the wrong argument
    with pytest.raises(darkroom.Refused, match="limit"):
        list(ann.images(page_size=1000))


def test_edits_and_their_conditions(ann: Client) -> None:
    image = ann.upload(unseen(), title="a", metadata={"a": "1"}, tags=["x"], wait=60)
    changed = ann.edit(
        image.id, title=None, metadata={"a": None, "b": "2"}, tags=("y",), focal_point={"x": 0.5, "y": 0}
    )
    assert (changed.title, changed.metadata, changed.tags) == (None, {"b": "2"}, ("y",))
    assert changed.focal_point == FocalPoint(x=0.5, y=0)
    # The worker changes the record, too.
    wait_for(lambda: ann.get(image.id).rendering_id != image.rendering_id, 120)
    for stale in (image, image.version, f'"v{image.version}"'):
        with pytest.raises(darkroom.Conflict) as found:
            ann.edit(image.id, if_match=stale, title="b")
        assert found.value.code == "version_mismatch"
    assert ann.edit(image.id, if_match=ann.get(image.id), title="b").title == "b"
    with pytest.raises(darkroom.Refused) as refused:
        ann.edit(image.id, title="x" * 300)
    assert (refused.value.field, refused.value.value, refused.value.limit) == ("title", 300, 200)


def test_deletes_restores_and_the_trash(ann: Client) -> None:
    image = ann.upload(unseen(), tags=["trash"], wait=60)
    for _ in range(2):
        ann.delete(image.id)
    assert ann.get(image.id).trashed_at is not None
    assert [each.id for each in ann.images(trashed=True, tag="trash")] == [image.id]
    with pytest.raises(darkroom.Conflict) as found:
        ann.edit(image.id, title="a")
    assert found.value.code == "trashed"
    for _ in range(2):
        assert ann.restore(image.id).trashed_at is None
    ann.delete(image.id, permanent=True)
    ann.delete(UNKNOWN)
    for call in (ann.get, ann.restore, ann.reprocess, ann.similar, ann.share):
        with pytest.raises(darkroom.NotFound) as missing:
            call(image.id)
        assert missing.value.code == "image_not_found"


def test_look_alikes_are_found(ann: Client) -> None:
    large = picture(640, 480, seed=77)
    out = io.BytesIO()
    large.resize((320, 240)).save(out, "PNG")
    image, small = ann.upload(encoded("JPEG", 640, 480, 77), wait=60), ann.upload(out.getvalue(), wait=60)
    found = ann.similar(image.id, max_distance=10)
    assert found.comparable
    assert [each.image.id for each in found.items] == [small.id]
    assert found.items[0].distance <= 10


def test_downloads_replace_files_only_when_they_are_complete(ann: Client, tmp_path: Path) -> None:
    body = unseen(400, 300)
    image = ann.upload(body, wait=60)
    path = tmp_path / "copy.jpg"
    path.write_bytes(b"old")
    with pytest.raises(darkroom.NotFound) as found:
        ann.download(image.id, path, variant="w9.webp")
    assert "w320" in found.value.problem["variants"]
    assert [each.name for each in tmp_path.iterdir()] == ["copy.jpg"]
    assert path.read_bytes() == b"old"
    steps: list[tuple[int, int]] = []
    assert ann.download(image.id, path, progress=lambda *done: steps.append(done)) == len(body)
    assert path.read_bytes() == body
    assert steps[-1] == (len(body), len(body))
    ann.download(image.id, tmp_path / "small.webp", variant="w320.webp")
    with Pillow.open(tmp_path / "small.webp") as small:
        assert small.size == (320, 240)
    for wrong in (tmp_path, tmp_path / "no folder" / "a.jpg", "nul\0.jpg"):
        with pytest.raises(darkroom.FileError):
            ann.download(image.id, wrong)
    assert {each.name for each in tmp_path.iterdir()} == {"copy.jpg", "small.webp"}


def test_urls_show_the_image_in_any_size(client: Client) -> None:
    image = client.upload(unseen(800, 600), wait=60)
    url = client.url(image.id, width=300, format="webp", slug="a/b ä", version=image.rendering_id)
    answer = httpx.get(url, timeout=60)
    with Pillow.open(io.BytesIO(answer.read())) as shown:
        assert (shown.format, shown.width) == ("WEBP", 384)  # the next width that is served
    assert httpx.get(client.url(image.id, variant="w320"), follow_redirects=True, timeout=60).status_code == 200
    assert httpx.get(client.url(image.id, width=300, height=100), timeout=60).status_code == 403
    for wrong in ({"width": 0}, {"quality": -1}, {"variant": "w320", "width": 3}, {"width": 1, "signing_key": "no"}):
        with pytest.raises(darkroom.InvalidArgument):
            client.url(image.id, **wrong)  # type: ignore[arg-type]


def test_a_shared_image_is_shown_without_a_key(ann: Client) -> None:
    image = ann.upload(unseen(400, 300), visibility="private", wait=60)
    link = ann.share(image.id, expires_in=600, variant="w320")
    assert timedelta(0) < link.expires_at - datetime.now(UTC) <= timedelta(seconds=600)
    assert httpx.get(link.url, follow_redirects=True, timeout=60).headers["content-type"].startswith("image/")


def test_counts_and_known_hashes(ann: Client) -> None:
    body = unseen()
    digest = hashlib.sha256(body).hexdigest()
    before = ann.stats()
    assert ann.lookup([digest]) == {}
    image = ann.upload(body, wait=60)
    after = ann.stats()
    assert (after.owner, after.ready - before.ready) == ("ann", 1)
    images = {found.format: found.images for found in before.formats}
    assert {found.format: found.images - images.get(found.format, 0) for found in after.formats} == {
        "jpeg": 1,
        "webp": 1,
    }
    assert ann.lookup([digest, *(f"{number:064x}" for number in range(2500))]) == {digest: image.id}
    assert ann.lookup([]) == {}


def test_a_key_that_is_missing_wrong_or_weak_is_not_allowed(
    guarded: Server, keys: dict[str, tuple[str, Any]], ann: Client
) -> None:
    image = ann.upload(unseen(), wait=60)
    for key, code in ((None, "key_missing"), ("dk_wrong", "key_unknown"), (keys["upload"][0], "scope_missing")):
        with Client(guarded.url, key) as client, pytest.raises(darkroom.NotAllowed) as found:
            client.get(image.id)
        assert found.value.code == code
        assert found.value.request_id
    with Client(guarded.url, keys["read"][0]) as client:
        assert client.limits().scopes == ("read",)
        for call in (lambda: client.upload(unseen()), lambda: client.delete(image.id), lambda: client.share(image.id)):
            with pytest.raises(darkroom.NotAllowed):
                call()


def test_a_key_for_uploads_alone_uploads(
    guarded: Server, keys: dict[str, tuple[str, Any]], ann: Client, way: str
) -> None:
    with Client(guarded.url, keys["upload"][0] + "\n") as client:
        body = unseen()
        image = client.upload(body, wait=60)
        assert image.sha256 == hashlib.sha256(body).hexdigest()
        assert ann.get(image.id, wait=60).status == "ready"
        again = client.upload(body)
        assert (again.id, again.duplicate) == (image.id, True)


def test_an_admin_uploads_for_others(guarded: Server, keys: dict[str, tuple[str, Any]], way: str) -> None:
    with Client(guarded.url, keys["admin"][0]) as client:
        body = unseen()
        image = client.upload(body, owner="bob", wait=60)
        assert (image.owner, client.stats("bob").owner) == ("bob", "bob")
        assert client.upload(body, owner="bob").duplicate
        assert image.id in {each.id for each in client.images(owner="bob")}


def test_many_uploads_have_a_result_each(ann: Client, tmp_path: Path) -> None:
    paths: list[Any] = []
    for number in range(70):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(unseen())
    twin = tmp_path / "twin.jpg"
    twin.write_bytes(paths[0].read_bytes())
    wrong = [tmp_path / "missing.jpg", b"no image"]
    told: dict[Any, tuple[int, int]] = {}
    results = list(
        ann.upload_many(
            [*paths, twin, *wrong], jobs=6, wait=60, tags=["many"],
            progress=lambda source, sent, size: told.update({source: (sent, size)}),
        )
    )  # fmt: skip
    assert len(results) == 73
    by_source = {result.source: result for result in results}
    assert {type(by_source[source].error) for source in wrong} == {darkroom.FileError, darkroom.Refused}
    with pytest.raises(darkroom.FileError):
        by_source[wrong[0]].unwrap()
    images = [by_source[path].unwrap() for path in [*paths, twin]]
    assert len({image.id for image in images}) == 70
    assert {image.status for image in images} == {"ready"}
    assert [image.duplicate for image in images].count(True) == 1
    assert len(list(ann.images(tag="many"))) == 70
    assert all(sent == size for path, (sent, size) in told.items() if isinstance(path, Path))
    again = list(ann.upload_many(paths))
    assert {result.unwrap().duplicate for result in again} == {True}
    with pytest.raises(darkroom.InvalidArgument):
        list(ann.upload_many(paths, jobs=0))
    with pytest.raises(darkroom.InvalidArgument, match="found: one"):
        list(ann.upload_many("photo.jpg"))


def test_leaving_many_uploads_early_closes_their_files(ann: Client, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(60)]
    for path in paths:
        path.write_bytes(unseen())
    results = ann.upload_many(paths, jobs=1)
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator
    ann.close()
    for thread in threading.enumerate():
        if thread.name.startswith("darkroom-upload"):
            thread.join(60)
    folder = f"{tmp_path}/"
    assert [
        link
        for link in Path("/proc/self/fd").iterdir()
        if link.is_symlink() and str(link.readlink()).startswith(folder)
    ] == []


def test_a_server_that_is_killed_and_restarted_gets_every_image_once(tmp_path: Path, way: str) -> None:
    bodies = [unseen() for _ in range(40)]
    with serving(tmp_path / "data") as server, Client(server.url, attempts=12) as client:
        results = client.upload_many(bodies, jobs=4, tags=["storm"])
        done = [next(results) for _ in range(10)]
        server.kill()
        restart = threading.Thread(target=server.start)
        restart.start()
        done += results
        restart.join()
        ids = {result.unwrap().id for result in done}
        assert len(ids) == len(bodies)
        for image_id in ids:
            assert client.get(image_id, wait=60).status == "ready"
        assert {image.id for image in client.images()} == ids


def test_a_large_pipe_is_kept_on_disk_and_sent(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_MEMORY", 1000)
    body = noise(200_000)

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self._left = io.BytesIO(body)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._left.readinto(buffer)

    image = ann.upload(io.BufferedReader(Pipe()), wait=60)
    assert image.sha256 == hashlib.sha256(body).hexdigest()


def test_the_type_of_each_format_is_declared(ann: Client) -> None:
    formats = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
    results = ann.upload_many([encoded(name, 70, 50, next(_seed)) for name in formats], wait=60)
    images = [result.unwrap() for result in results]
    assert {image.declared_content_type for image in images} == {f"image/{name.lower()}" for name in formats}
    assert {(image.status, image.content_type == image.declared_content_type) for image in images} == {("ready", True)}
