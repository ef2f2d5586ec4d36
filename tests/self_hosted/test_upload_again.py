"""The command line's client run again, or twice at once, on the same pictures: none is stored twice."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.client import DarkroomClient
from app.cli.image_file import ImageFile
from app.domain.keys import original_key
from app.domain.models import Image, Status, utcnow
from app.domain.uploads import grants
from tests.api.service import Service, service_on
from tests.samples import encoded

Happening = Callable[[], None]


@pytest.fixture
def picture(tmp_path: Path) -> ImageFile:
    path = tmp_path / "p.jpg"
    path.write_bytes(encoded("JPEG", 90, 60, seed=62))
    return ImageFile.read(path)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service whose worker is not there: what is sent stays `pending`."""
    with service_on("self-hosted", tmp_path) as made:
        yield made


class Way(httpx.BaseTransport):
    """The way to the service, on which something may happen before or after the bytes arrive."""

    def __init__(self, service: Service, before: Happening | None = None, after: Happening | None = None) -> None:
        self._way = service.client._transport
        self._before, self._after = before, after
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        if request.method == "PUT" and self._before:
            self._before()
        answer = self._way.handle_request(request)
        if request.method == "PUT" and self._after:
            self._after()
        return answer


def interrupt() -> None:
    raise KeyboardInterrupt


def run(picture: ImageFile, way: Way, folder: Path, key: str | None = None, **words: Any) -> dict[str, Any]:
    """Send the picture as the command does, with its notes in the folder."""
    with DarkroomClient("http://testserver", key, transport=way, notes=folder / "notes") as client:
        return client.wait_until_processed(client.upload(picture, **words), 0)


def interrupted(picture: ImageFile, way: Way, folder: Path, **words: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(picture, way, folder, **words)


def change(service: Service, image_id: str, **changes: Any) -> None:
    """Do to the record what a worker would."""
    found = service.side.images.get(image_id)
    assert isinstance(found, Image)
    service.side.images.update(image_id, found.version, changes)


def records(service: Service) -> list[str]:
    return service.side.unfinished()


def test_what_had_arrived_when_it_was_interrupted_is_there_already(
    service: Service, picture: ImageFile, tmp_path: Path
) -> None:
    interrupted(picture, Way(service, after=interrupt), tmp_path)
    record = run(picture, Way(service), tmp_path)
    assert (record["status"], record["duplicate"]) == ("pending", True)
    assert records(service) == [record["id"]]
    assert service.side.objects() == {original_key(record["id"])}


def test_what_had_not_arrived_is_sent_by_the_ticket_it_had(
    service: Service, picture: ImageFile, tmp_path: Path
) -> None:
    interrupted(picture, Way(service, before=interrupt), tmp_path)
    record = run(picture, Way(service), tmp_path)
    assert not record.get("duplicate")
    assert records(service) == [record["id"]]
    assert service.side.objects() == {original_key(record["id"])}


def test_what_is_not_developed_yet_is_not_sent_again(service: Service, picture: ImageFile, tmp_path: Path) -> None:
    first = run(picture, Way(service), tmp_path, tags=["sea"])
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(picture.path.read_bytes())
    way = Way(service)
    second = run(ImageFile.read(copy), way, tmp_path)
    assert not first.get("duplicate")
    assert (second["id"], second["duplicate"], second["filename"]) == (first["id"], True, "p.jpg")
    assert "PUT" not in way.asked
    assert records(service) == [first["id"]]


def test_of_two_at_once_one_brings_it_and_the_other_finds_it(
    service: Service, picture: ImageFile, tmp_path: Path
) -> None:
    other: dict[str, Any] = {}
    record = run(picture, Way(service, before=lambda: other.update(run(picture, Way(service), tmp_path))), tmp_path)
    assert record["id"] == other["id"]
    assert (record.get("duplicate"), bool(other.get("duplicate"))) == (True, False)
    assert records(service) == [record["id"]]


def test_of_two_that_ask_at_once_both_use_one_ticket(service: Service, picture: ImageFile, tmp_path: Path) -> None:
    other: dict[str, Any] = {}
    way = Way(service)
    ask = way.handle_request

    def overtaken(request: httpx.Request) -> httpx.Response:
        answer = ask(request)
        if request.method == "POST":
            other.update(run(picture, Way(service), tmp_path))
        return answer

    way.handle_request = overtaken  # type: ignore[method-assign] # the other one is between the ticket and its use
    record = run(picture, way, tmp_path)
    assert (record["id"], record.get("duplicate")) == (other["id"], True)
    assert service.side.objects() == {original_key(record["id"])}


def test_a_ticket_whose_time_is_over_is_asked_for_anew(
    service: Service, picture: ImageFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(picture, Way(service, before=interrupt), tmp_path)
    later = iter([utcnow() + timedelta(seconds=301)])
    monkeypatch.setattr(grants, "utcnow", lambda: next(later, utcnow()))
    record = run(picture, Way(service), tmp_path)
    assert not record.get("duplicate")
    assert service.side.objects() == {original_key(record["id"])}


def test_what_was_deleted_or_has_failed_meanwhile_is_sent_anew(
    service: Service, picture: ImageFile, tmp_path: Path
) -> None:
    first = run(picture, Way(service), tmp_path)
    service.client.delete(f"/images/{first['id']}")
    second = run(picture, Way(service), tmp_path)
    change(service, second["id"], status=Status.FAILED)
    third = run(picture, Way(service), tmp_path)
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert not second.get("duplicate")
    assert not third.get("duplicate")


def test_other_words_than_those_of_the_interrupted_run_are_not_lost(
    service: Service, picture: ImageFile, tmp_path: Path
) -> None:
    interrupted(picture, Way(service, before=interrupt), tmp_path)
    record = run(picture, Way(service), tmp_path, tags=["sea"])
    assert record["tags"] == ["sea"]
    assert service.side.objects() == {original_key(record["id"])}


def test_who_asks_before_it_is_ready_and_sends_after_that_stores_nothing(
    service: Service, picture: ImageFile, tmp_path: Path
) -> None:
    other: dict[str, Any] = {}
    way = Way(service)
    ask = way.handle_request

    def overtaken(request: httpx.Request) -> httpx.Response:
        answer = ask(request)
        if request.method == "POST":
            other.update(run(picture, Way(service), tmp_path))
            change(service, other["id"], status=Status.READY, upload_expires_at=None)
            with DarkroomClient("http://testserver", transport=Way(service), notes=tmp_path / "notes") as client:
                assert client.wait_until_processed(other, 5)["status"] == "ready"
        return answer

    way.handle_request = overtaken  # type: ignore[method-assign] # the other one is through in the meantime
    record = run(picture, way, tmp_path)
    assert (record["id"], record["status"], record["duplicate"]) == (other["id"], "ready", True)


def test_what_has_become_ready_is_there_already(service: Service, picture: ImageFile, tmp_path: Path) -> None:
    first = run(picture, Way(service), tmp_path)
    change(service, first["id"], status=Status.READY, upload_expires_at=None)
    way = Way(service)
    again = run(picture, way, tmp_path)
    assert (again["id"], again["status"], again["duplicate"]) == (first["id"], "ready", True)
    assert way.asked == ["GET"]


def test_the_notes_are_the_users_own_and_go_after_a_day(service: Service, picture: ImageFile, tmp_path: Path) -> None:
    run(picture, Way(service), tmp_path)
    folder = tmp_path / "notes"
    (note,) = folder.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, note)] == [0o700, 0o600]
    for hours, left in ((23, [note]), (-23, [note]), (25, [])):
        then = time.time() - hours * 3600
        os.utime(note, (then, then))
        DarkroomClient("http://testserver", transport=Way(service), notes=folder)
        assert list(folder.iterdir()) == left


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"ticket": 1}', b'{"ticket": {"id": "x"}}'])
def test_a_note_that_is_none_is_taken_for_none(
    service: Service, picture: ImageFile, tmp_path: Path, content: bytes
) -> None:
    run(picture, Way(service), tmp_path)
    (note,) = (tmp_path / "notes").iterdir()
    note.write_bytes(content)
    record = run(picture, Way(service), tmp_path)
    assert record["id"].encode() in note.read_bytes()


def test_where_no_notes_can_be_kept_pictures_are_sent_all_the_same(
    service: Service, picture: ImageFile, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("a file")
    assert run(picture, Way(service), tmp_path)["status"] == "pending"
