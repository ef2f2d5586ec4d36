"""An unchanged record whose urls have run out is not "unchanged" to whoever shows them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.s3 import PresignedUrls
from app.adapters.s3.presign import WINDOW
from app.domain.models import Status
from tests.api.service import Service, service_on


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_770_000_000 // WINDOW * WINDOW + 1.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Service]:
    with service_on("moto", tmp_path) as service:
        assert isinstance(service.side.urls, PresignedUrls)
        monkeypatch.setattr(service.side.urls._presigner, "_clock", clock)
        yield service


def test_a_record_is_unchanged_while_its_urls_are(service: Service, clock: Clock) -> None:
    path = f"/images/{service.place().id}"
    first = service.client.get(path)
    clock.now += WINDOW - 2
    same = service.client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert service.client.get(path).json() == first.json()

    clock.now += 2
    fresh = service.client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (fresh.status_code, fresh.json()["version"]) == (200, first.json()["version"])
    assert fresh.headers["etag"] != first.headers["etag"]
    old, new = ([variant["url"] for variant in answer.json()["variants"]] for answer in (first, fresh))
    assert len(new) == 4
    assert not set(old) & set(new)


def test_a_record_that_shows_no_urls_is_unchanged_for_longer(service: Service, clock: Clock) -> None:
    path = f"/images/{service.place(Status.PENDING).id}"
    tag = service.client.get(path).headers["etag"]
    clock.now += 10 * WINDOW
    assert service.client.get(path, headers={"if-none-match": tag}).status_code == 304


def test_another_version_is_another_record_within_a_window(service: Service) -> None:
    image = service.place()
    tag = service.client.get(f"/images/{image.id}").headers["etag"]
    service.side.images.update(image.id, image.version, {"title": "new"})
    answer = service.client.get(f"/images/{image.id}", headers={"if-none-match": tag})
    assert (answer.status_code, answer.json()["title"]) == (200, "new")
