"""Events of changes, and their bodies."""

import json
from datetime import timedelta
from typing import Any

import pytest

from app.api.views.image import ImageView
from app.domain.delivery.events import MAX_BODY, WATCHED, EventSource
from app.domain.models import Format, Image, Status, Variant, Visibility, utcnow
from app.domain.work import Task, Work
from tests.contract.records import FULL, an_image

NOW = utcnow()
READY = {"status": Status.READY, "processed_at": NOW, "rendering_id": "abc", "version": 2}
TICKET = {"upload_expires_at": NOW + timedelta(days=1)}


def made(before: Image | None, after: Image | None) -> list[str]:
    return [event.type for event in EventSource().of([(before, after)])]


def changed(image: Image, **fields: Any) -> Image:
    return image.model_copy(update={"version": image.version + 1, **fields})


def test_an_upload_and_its_outcomes() -> None:
    image = an_image()
    assert made(None, image) == ["image.uploaded"]
    ready = changed(image, **READY)
    assert made(image, ready) == ["image.ready"]
    assert made(image, changed(image, status=Status.FAILED, processed_at=NOW)) == ["image.failed"]
    again = changed(ready, processed_at=NOW + timedelta(minutes=1))
    assert made(ready, again) == ["image.ready"]
    assert made(None, changed(image)) == ["image.uploaded"]  # written again after it was removed by mistake
    assert made(None, ready) == []  # imported


def test_a_ticket_is_an_upload_when_its_bytes_are_seen() -> None:
    ticket = an_image(**TICKET)
    assert made(None, ticket) == []
    assert made(ticket, changed(ticket, title="new")) == []
    assert made(ticket, None) == []
    arrived = changed(ticket, arrived_at=NOW)
    assert made(ticket, arrived) == ["image.uploaded"]
    assert made(arrived, changed(arrived, **READY, upload_expires_at=None)) == ["image.ready"]
    assert made(ticket, changed(ticket, **READY, upload_expires_at=None)) == ["image.uploaded", "image.ready"]
    assert made(None, arrived) == ["image.uploaded"]  # removed as unused while its bytes came, and written again


def test_a_ticket_that_is_in_the_trash_when_its_bytes_are_seen_is_deleted() -> None:
    ticket = an_image(**TICKET)
    trashed = changed(ticket, trashed_at=NOW)
    assert made(ticket, trashed) == []
    assert made(trashed, changed(trashed, arrived_at=NOW)) == ["image.uploaded", "image.deleted"]
    ready = changed(trashed, **READY, upload_expires_at=None)
    assert made(trashed, ready) == ["image.uploaded", "image.ready", "image.deleted"]


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "t"}, {"alt": "a"}, {"tags": ["x"]}, {"metadata": {"a": "b"}}, {"filename": "f.jpg"},
        {"visibility": Visibility.PUBLIC}, {"reprocess_error": FULL["error"]}, {"focal_point": FULL["focal_point"]},
    ],
)  # fmt: skip
def test_edits_update(fields: dict[str, Any]) -> None:
    image = an_image(**READY)
    assert made(image, changed(image, **fields)) == ["image.updated"]
    assert set(fields) <= WATCHED


def test_internal_changes_make_no_event() -> None:
    image = an_image(**READY)
    internal = {"work": {Task.HIDE: Work.add(NOW)}, "placed": Visibility.PUBLIC, "superseded": {"a": NOW}}
    assert made(image, changed(image, **internal, last_tried_at=NOW)) == []


def test_trash_restore_and_delete() -> None:
    image = an_image(**READY)
    trashed = changed(image, trashed_at=NOW)
    source = EventSource()
    (first,) = source.of([(image, trashed)])
    (last,) = source.of([(trashed, None)])
    assert [json.loads(each.body)["data"] for each in (first, last)] == [
        {"id": image.id, "owner": image.owner, "filename": image.filename, "permanent": permanent}
        for permanent in (False, True)
    ]
    assert {first.type, last.type} == {"image.deleted"}
    assert made(trashed, changed(trashed, trashed_at=None)) == ["image.updated"]


def test_a_body_has_lasting_urls_only() -> None:
    variant = Variant(name="w320", format=Format.WEBP, width=320, height=200, bytes=9, quality=82, file="w320.webp")
    public = {"visibility": Visibility.PUBLIC, "placed": Visibility.PUBLIC}
    image = an_image(**READY, **public, variants=[variant])
    (event,) = EventSource("https://img.example.org/").of([(changed(image, status=Status.PENDING), image)])
    body = json.loads(event.body)
    assert (body["type"], body["data"]["id"], event.image_id) == ("image.ready", image.id, image.id)
    assert body["timestamp"].endswith("Z")
    url = f"https://img.example.org/images/{image.id}/variants/w320.webp"
    assert body["data"]["variants"] == [
        {"name": "w320", "format": "webp", "width": 320, "height": 200, "bytes": 9, "quality": 82, "url": url}
    ]
    assert body["data"]["links"]["image"] == f"https://img.example.org/i/{image.id}"
    assert not {"work", "placed", "superseded", "last_tried_at"} & set(body["data"])
    private = image.model_copy(update={"visibility": Visibility.PRIVATE})
    for source, shown in ((EventSource("https://img.example.org"), private), (EventSource(), image)):
        (event,) = source.of([(changed(shown, status=Status.PENDING), shown)])
        data = json.loads(event.body)["data"]
        assert "url" not in data["variants"][0]
        assert data["links"]["self"].endswith(f"/images/{image.id}")


def test_a_body_has_the_fields_of_the_api_and_no_internal_ones() -> None:
    image = an_image(**{**READY, "charged_bytes": 9, "arrived_at": NOW, "last_tried_at": NOW})
    (event,) = EventSource().of([(changed(image, status=Status.PENDING), image)])
    shown = {name for name, field in ImageView.model_fields.items() if not field.exclude}
    assert set(json.loads(event.body)["data"]) == shown - {"urls_expire_at", "embed", "duplicate", "ignored_fields"}


def test_the_body_of_a_large_record_is_thin() -> None:
    image = an_image(**READY, metadata={f"k{number}": "ü" * 500 for number in range(30)})
    (event,) = EventSource().of([(changed(image, status=Status.PENDING), image)])
    assert len(event.body.encode()) < MAX_BODY
    assert set(json.loads(event.body)["data"]) == {"id", "owner", "status", "links"}


def test_ids_sort_in_the_order_of_events() -> None:
    ticket = an_image(**TICKET)
    events = EventSource().of([(ticket, changed(ticket, **READY, upload_expires_at=None))] * 20)
    assert [event.id for event in events] == sorted(event.id for event in events)
    assert all("." not in event.id for event in events)
