"""The schedule's function: what it settles, what it looks for when asked, and when it says that it failed."""

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from app.adapters.sqs import SqsQueue
from app.domain.ids import new_id
from app.domain.keys import original_key
from app.domain.models import Image, utcnow
from tests.contract.records import an_image
from tests.entry_points.opened import Context, Place, opened, place
from tests.events import payload

QUIET = {
    "queued_again": 0, "waiting": 0, "left": 0, "never_came": 0, "given_up": 0, "trash_deleted": 0,
    "deletes_finished": 0, "renderings_swept": 0, "hides_finished": 0, "invalidated": 0, "original_missing": 0,
    "orphans": 0, "orphans_young": 0, "orphans_removed": 0, "orphans_adopted": 0, "search_left": 0, "recounted": 0,
    "webhooks_repeated": 0, "errors": 0,
}  # fmt: skip


@pytest.fixture
def own_place() -> Iterator[Place]:
    with place() as found:
        yield found


@pytest.fixture
def entry_point(own_place: Place, tmp_path: Path) -> Iterator[ModuleType]:
    with opened("app.lambda_reconcile", own_place.environment, tmp_path) as found:
        yield found


def run(entry_point: ModuleType, event: Any = None, seconds: float = 900) -> Any:
    return entry_point.handler(payload("warm_up_schedule") if event is None else event, Context(seconds))


def pending(entry_point: ModuleType, *, age: timedelta, with_bytes: bool) -> Image:
    then = utcnow() - age
    image = an_image(uploaded_at=then, updated_at=then, bytes=3)
    entry_point._backends.images.create(image, claim=False)
    if with_bytes:
        entry_point._backends.store.put(original_key(image.id), io.BytesIO(b"abc"), size=3, content_type="image/png")
    return image


def test_with_nothing_to_do_it_does_nothing(entry_point: ModuleType) -> None:
    assert run(entry_point) == QUIET


def test_a_lost_event_is_sent_again_and_what_never_came_goes(entry_point: ModuleType, own_place: Place) -> None:
    lost = pending(entry_point, age=timedelta(minutes=20), with_bytes=True)
    never = pending(entry_point, age=timedelta(hours=2), with_bytes=False)
    own_place.events()  # the bucket's own, which is the one that is lost
    assert run(entry_point) == QUIET | {"queued_again": 1, "never_came": 1, "recounted": 1}
    (event,) = own_place.events()
    assert original_key(lost.id) in event["Records"][0]["body"]
    assert entry_point._backends.images.get(never.id) is None


@pytest.mark.slow
def test_objects_of_no_record_are_looked_for_only_when_asked(entry_point: ModuleType, own_place: Place) -> None:
    key = original_key(new_id())
    own_place.made.s3.put_object(Bucket=own_place.bucket, Key=key, Body=b"abc")
    later = utcnow() + timedelta(hours=2)
    assert run(entry_point, {"orphans": "remove"}) == QUIET | {"orphans_young": 1}
    with mock.patch("app.domain.maintenance.orphans.utcnow", return_value=later):
        assert run(entry_point) == QUIET
        assert run(entry_point, {"orphans": "report"}) == QUIET | {"orphans": 1}
        assert run(entry_point, {"orphans": "remove"}) == QUIET | {"orphans": 1, "orphans_removed": 1}
        assert run(entry_point, {"orphans": "report"}) == QUIET


def test_the_grace_time_of_orphans_can_be_given(entry_point: ModuleType, own_place: Place) -> None:
    own_place.made.s3.put_object(Bucket=own_place.bucket, Key=original_key(new_id()), Body=b"abc")
    for minutes, found in ((1, {"orphans_young": 1}), (0, {"orphans": 1})):
        assert run(entry_point, {"orphans": "report", "grace_minutes": minutes}) == QUIET | found


@pytest.mark.parametrize(
    "event", [{"orphans": "delete"}, {"orphans": "report", "grace_minutes": -1}, {"grace_minutes": "60"}]
)
@pytest.mark.slow
def test_a_request_that_is_not_understood_removes_nothing(
    entry_point: ModuleType, own_place: Place, event: Any
) -> None:
    own_place.made.s3.put_object(Bucket=own_place.bucket, Key=original_key(new_id()), Body=b"abc")
    with pytest.raises(ValueError, match="must be"):
        run(entry_point, event)
    assert run(entry_point, {"orphans": "report", "grace_minutes": 0}) == QUIET | {"orphans": 1}


def test_a_run_ends_before_the_functions_time_does_and_the_next_one_goes_on(
    entry_point: ModuleType, own_place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        pending(entry_point, age=timedelta(hours=2), with_bytes=False)
    own_place.made.s3.put_object(Bucket=own_place.bucket, Key=original_key(new_id()), Body=b"abc")
    assert run(entry_point, {"orphans": "report"}, seconds=30) == QUIET | {"left": 3, "search_left": 1}
    assert "stopped before the time-out" in caplog.text
    caplog.clear()
    assert run(entry_point) == QUIET | {"never_came": 3, "recounted": 1}
    assert "stopped before the time-out" not in caplog.text


@pytest.mark.slow
def test_a_run_that_met_errors_fails_after_the_rest_is_settled(entry_point: ModuleType, own_place: Place) -> None:
    never = pending(entry_point, age=timedelta(hours=2), with_bytes=False)
    pending(entry_point, age=timedelta(minutes=20), with_bytes=True)
    own_place.events()
    broken = entry_point._backends._replace(queue=SqsQueue(own_place.made.sqs, own_place.queue_url + "-that-is-gone"))
    with mock.patch.object(entry_point, "_backends", broken), pytest.raises(entry_point.Incomplete, match="errors 1"):
        run(entry_point)
    assert entry_point._backends.images.get(never.id) is None
