"""The command line's client run again, or twice at once, on the same images: none is stored twice."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.keys import original_key
from app.domain.models import Image, Status, utcnow
from app.domain.uploads import grants, tickets
from darkroom import connection, uploading
from darkroom.cli.direct import FileClient
from darkroom.cli.image_file import ImageFile, UploadError
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


def run(picture: ImageFile, way: Way, key: str | None = None, **fields: Any) -> dict[str, Any]:
    """Send the image as the command does."""
    with FileClient("http://testserver", key, transport=way) as client:
        return client.wait_until_processed(client.send(picture, **fields), 0)


def interrupted(picture: ImageFile, way: Way, **fields: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(picture, way, **fields)


def change(service: Service, image_id: str, **changes: Any) -> None:
    """Do to the record what a worker would."""
    found = service.side.images.get(image_id)
    assert isinstance(found, Image)
    service.side.images.update(image_id, found.version, changes)


def records(service: Service) -> list[str]:
    return service.side.unfinished()


def test_images_that_arrived_before_an_interruption_are_known(service: Service, picture: ImageFile) -> None:
    interrupted(picture, Way(service, after=interrupt))
    way = Way(service)
    record = run(picture, way)
    assert (record["status"], record["duplicate"]) == ("pending", True)
    assert "PUT" not in way.asked
    assert records(service) == [record["id"]]
    assert service.side.objects() == {original_key(record["id"])}


def test_images_that_had_not_arrived_are_sent_with_the_same_ticket(service: Service, picture: ImageFile) -> None:
    interrupted(picture, Way(service, before=interrupt), tags=["sea"])
    (ticket,) = records(service)
    record = run(picture, Way(service), tags=["sea"])
    assert not record.get("duplicate")
    assert record["id"] == ticket
    assert records(service) == [ticket]
    assert service.side.objects() == {original_key(ticket)}


def test_pending_images_are_not_sent_again(service: Service, picture: ImageFile) -> None:
    first = run(picture, Way(service), tags=["sea"])
    way = Way(service)
    second = run(picture, way, tags=["sea"])
    assert not first.get("duplicate")
    assert (second["id"], second["duplicate"]) == (first["id"], True)
    assert "PUT" not in way.asked
    assert records(service) == [first["id"]]


def test_an_image_that_becomes_ready_while_its_ticket_is_looked_up_is_known(
    service: Service, picture: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(picture, Way(service))
    find = service.side.images.find_ticket

    def find_and_process(owner: str, sha256: str) -> str | None:
        found = find(owner, sha256)
        change(service, first["id"], status=Status.READY)
        ready = service.side.images.get(first["id"])
        assert isinstance(ready, Image)
        service.side.images.claim(ready)
        return found

    monkeypatch.setattr(service.side.images, "find_ticket", find_and_process)
    way = Way(service)
    second = run(picture, way)
    assert (second["id"], second["duplicate"]) == (first["id"], True)
    assert "PUT" not in way.asked
    assert service.side.objects() == {original_key(first["id"])}


def test_of_two_at_once_one_sends_it_and_the_other_finds_it(service: Service, picture: ImageFile) -> None:
    other: dict[str, Any] = {}
    record = run(picture, Way(service, before=lambda: other.update(run(picture, Way(service)))))
    assert record["id"] == other["id"]
    assert (record.get("duplicate"), bool(other.get("duplicate"))) == (True, False)
    assert records(service) == [record["id"]]


def test_of_two_that_ask_at_once_both_use_one_ticket(service: Service, picture: ImageFile) -> None:
    other: dict[str, Any] = {}
    way = Way(service)
    ask = way.handle_request

    def overtaken(request: httpx.Request) -> httpx.Response:
        answer = ask(request)
        if request.method == "POST":
            other.update(run(picture, Way(service)))
        return answer

    way.handle_request = overtaken  # type: ignore[method-assign] # the other one is between the ticket and its use
    record = run(picture, way)
    assert (record["id"], record.get("duplicate")) == (other["id"], True)
    assert service.side.objects() == {original_key(record["id"])}


def test_while_another_one_sends_it_a_client_waits(
    service: Service, picture: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three answers say that another upload is in progress; then its bytes are there."""
    pauses: list[float] = []
    way = Way(service)
    ask = way.handle_request

    def busy(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return httpx.Response(409, request=request)
        return ask(request)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            run(picture, Way(service))

    monkeypatch.setattr(connection.Connection, "pause", lambda _, seconds: pause(seconds))
    way.handle_request = busy  # type: ignore[method-assign]
    record = run(picture, way)
    assert record["duplicate"]
    assert pauses == [uploading._BUSY_PAUSE_SECONDS] * 3
    assert service.side.objects() == {original_key(record["id"])}
    assert records(service) == [record["id"]]


def test_a_client_that_waits_for_another_one_gives_up_in_the_end(
    service: Service, picture: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Way(service)
    ask = way.handle_request

    def busy(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, request=request) if request.method == "PUT" else ask(request)

    way.handle_request = busy  # type: ignore[method-assign]
    monkeypatch.setattr(uploading, "_BUSY_SECONDS", 0)
    with pytest.raises(UploadError, match="Another upload of this image is still in progress"):
        run(picture, way)


def test_an_expired_url_is_replaced_by_one_of_the_same_ticket(
    service: Service, picture: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(picture, Way(service, before=interrupt))
    (ticket,) = records(service)
    monkeypatch.setattr(grants, "utcnow", lambda: utcnow() + timedelta(seconds=301))
    monkeypatch.setattr(tickets, "utcnow", lambda: utcnow() + timedelta(seconds=301))
    record = run(picture, Way(service))
    assert (record["id"], bool(record.get("duplicate"))) == (ticket, False)
    assert service.side.objects() == {original_key(ticket)}


def test_deleted_and_failed_images_are_sent_again(service: Service, picture: ImageFile) -> None:
    first = run(picture, Way(service))
    service.client.delete(f"/images/{first['id']}")
    second = run(picture, Way(service))
    change(service, second["id"], status=Status.FAILED)
    third = run(picture, Way(service))
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert not second.get("duplicate")
    assert not third.get("duplicate")


def test_a_run_with_other_fields_does_not_lose_them(service: Service, picture: ImageFile) -> None:
    interrupted(picture, Way(service, before=interrupt))
    record = run(picture, Way(service), tags=["sea"])
    assert record["tags"] == ["sea"]
    assert service.side.objects() == {original_key(record["id"])}


def test_a_client_that_asks_before_it_is_ready_and_sends_after_that_stores_nothing(
    service: Service, picture: ImageFile
) -> None:
    other: dict[str, Any] = {}
    way = Way(service)
    ask = way.handle_request

    def overtaken(request: httpx.Request) -> httpx.Response:
        answer = ask(request)
        if request.method == "POST":
            other.update(run(picture, Way(service)))
            change(service, other["id"], status=Status.READY, upload_expires_at=None)
        return answer

    way.handle_request = overtaken  # type: ignore[method-assign] # the other one is through in the meantime
    record = run(picture, way)
    assert (record["id"], record["status"], record["duplicate"]) == (other["id"], "ready", True)


def test_images_that_became_ready_are_known_at_once(service: Service, picture: ImageFile) -> None:
    first = run(picture, Way(service))
    found = service.side.images.get(first["id"])
    assert isinstance(found, Image)
    service.side.images.claim(found)
    change(service, first["id"], status=Status.READY, upload_expires_at=None)
    way = Way(service)
    with FileClient("http://testserver", transport=way) as client:
        assert client.lookup([picture.sha256, "0" * 64]) == {picture.sha256: first["id"]}
    again = run(picture, way)
    assert (again["id"], again["status"], again["duplicate"]) == (first["id"], "ready", True)
    assert way.asked == ["POST", "POST"]


def test_nothing_is_kept_on_disk(
    service: Service, picture: ImageFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    run(picture, Way(service))
    assert list(home.iterdir()) == []
