"""The worker's function: events as S3, SQS, SNS and EventBridge hand them on, and what it answers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.domain.errors import Unavailable
from app.domain.ids import new_id
from tests import samples
from tests.entry_points.opened import Answer, Place, get_event, upload_event
from tests.events import payload

Call = Callable[..., Any]
NONE: dict[str, list[Any]] = {"batchItemFailures": []}


def upload(api: Callable[..., Answer], content: bytes) -> str:
    answer = api(upload_event(content))
    assert answer.status == 201, answer.json()
    return str(answer.json()["id"])


@pytest.fixture
def image_id(api: Callable[..., Answer], aws_place: Place) -> Iterator[str]:
    """Upload a small image and leave it unprocessed."""
    found = upload(api, samples.encoded(seed=hash(new_id())))
    yield found
    aws_place.events()


def status(api: Callable[..., Answer], image_id: str) -> str:
    return str(api(get_event(f"/images/{image_id}")).json()["status"])


def test_a_photograph_goes_in_and_its_variants_come_out(
    api: Callable[..., Answer], worker: Call, aws_place: Place, scratch: Path
) -> None:
    image_id = upload(api, samples.image_file("libavif-tests__paris_exif_xmp_icc.jpg").read_bytes())
    assert status(api, image_id) == "pending"
    (event,) = aws_place.events()
    assert worker(event) == NONE
    record = api(get_event(f"/images/{image_id}")).json()
    assert (record["status"], record["error"]) == ("ready", None)
    assert {variant["name"] for variant in record["variants"]} == {"thumb", "w320", "w640", "w1280", "w1920"}
    for variant in record["variants"]:
        location = api(get_event(urlsplit(variant["url"]).path)).headers["location"]
        key = "processed/public/" + location.partition("?")[0].partition("/processed/public/")[2]
        stored = aws_place.made.s3.head_object(Bucket=aws_place.bucket, Key=key)
        assert stored["ContentLength"] == variant["bytes"]
        assert stored["CacheControl"] == "public, max-age=86400"
    located = api(get_event(f"/prod/images/{image_id}/variants/w320", stage="prod"))
    assert (located.status, f"processed/public/{image_id}/" in located.headers["location"]) == (307, True)
    assert api(get_event(f"/images/{image_id}", method="DELETE")).status == 204
    assert list((scratch / "darkroom").iterdir()) == []


def test_a_request_renders_an_image_again(
    api: Callable[..., Answer], worker: Call, aws_place: Place, image_id: str
) -> None:
    (event,) = aws_place.events()
    assert worker(event) == NONE
    before = api(get_event(f"/images/{image_id}")).json()
    answer = api(get_event(f"/images/{image_id}/reprocess", method="POST"))
    assert (answer.status, answer.headers["location"]) == (202, f"/images/{image_id}")
    assert (answer.json()["status"], answer.json()["variants"]) == ("ready", before["variants"])
    (event,) = aws_place.events()
    assert worker(event) == NONE
    after = api(get_event(f"/images/{image_id}")).json()
    assert (after["status"], after["reprocess_error"], after["variants"]) == ("ready", None, before["variants"])
    assert after["processed_at"] > before["processed_at"]
    assert aws_place.events() == []


@pytest.mark.parametrize("form", ["s3_created", "eventbridge_created", "sqs_sns", "sqs_one"])
def test_every_form_of_the_event_is_understood(
    api: Callable[..., Answer], worker: Call, aws_place: Place, image_id: str, form: str
) -> None:
    more = {"receive_count": "1"} if form == "sqs_one" else {}
    event = payload(form, key=f"originals/{image_id}", bucket=aws_place.bucket, **more)
    assert worker(event) == NONE
    assert status(api, image_id) == "ready"
    assert worker(event) == NONE  # at least once means more than once


@pytest.mark.parametrize("form", ["s3_removed", "s3_test", "sqs_test_event", "sqs_foreign_keys", "sqs_junk"])
def test_events_without_work_are_acknowledged(
    api: Callable[..., Answer], worker: Call, aws_place: Place, image_id: str, form: str
) -> None:
    more: dict[str, str] = {} if form == "sqs_junk" else {"bucket": aws_place.bucket}
    if form == "s3_removed":
        more["key"] = f"originals/{image_id}"
    if form == "sqs_foreign_keys":
        more["image_id"] = image_id
    assert worker(payload(form, **more)) == NONE
    assert status(api, image_id) == "pending"


@pytest.mark.parametrize(
    "event",
    [
        None, [], "hello", 3, {}, {"Records": []}, {"Records": [3]}, {"Records": "x"},
        {"Records": [{"eventSource": "aws:sqs"}]},
        {"Records": [{"eventSource": "aws:sqs", "messageId": 3, "body": []}]},
    ],
    ids=str,
)  # fmt: skip
def test_other_payloads_are_ignored(worker: Call, event: Any) -> None:
    assert worker(event) == NONE


class Failing:
    """The store of a worker, in which reading these originals fails."""

    def __init__(self, inner: Any, *image_ids: str) -> None:
        self._inner = inner
        self._keys = {f"originals/{image_id}" for image_id in image_ids}

    def open(self, key: str) -> Any:
        if key in self._keys:
            raise Unavailable("SlowDown")
        return self._inner.open(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def three(api: Callable[..., Answer], place: Place) -> tuple[list[str], Any]:
    ids = [upload(api, samples.encoded(seed=hash(new_id()))) for _ in range(3)]
    place.events()
    keys = {f"key_{number}": f"originals/{image_id}" for number, image_id in enumerate(ids, 1)}
    return ids, payload("sqs_three", bucket=place.bucket, **keys)


def test_of_a_batch_only_the_message_that_failed_comes_back(
    api: Callable[..., Answer],
    worker_module: ModuleType,
    worker: Call,
    aws_place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids, event = three(api, aws_place)
    store = worker_module._worker._store
    monkeypatch.setattr(worker_module._worker, "_store", Failing(store, ids[1]))
    assert worker(event) == {"batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]}
    assert [status(api, image_id) for image_id in ids] == ["ready", "pending", "ready"]
    monkeypatch.setattr(worker_module._worker, "_store", Failing(store, *ids))
    failed = {"batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]}
    assert worker(event) == failed, "what is done is a duplicate now"
    monkeypatch.setattr(worker_module._worker, "_store", store)
    assert worker({"Records": event["Records"][1:2]}) == NONE
    assert status(api, ids[1]) == "ready"


def test_a_batch_of_which_all_fail_comes_back_whole_and_in_its_last_delivery_is_closed(
    api: Callable[..., Answer],
    worker_module: ModuleType,
    worker: Call,
    aws_place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids, event = three(api, aws_place)
    monkeypatch.setattr(worker_module._worker, "_store", Failing(worker_module._worker._store, *ids))
    event["Records"][2]["attributes"]["ApproximateReceiveCount"] = "5"
    everything = [{"itemIdentifier": record["messageId"]} for record in event["Records"]]
    assert worker(event) == {"batchItemFailures": everything}
    assert [status(api, image_id) for image_id in ids] == ["pending", "pending", "failed"]


@pytest.mark.parametrize("form", ["s3_created", "eventbridge_created"])
def test_a_direct_event_that_fails_is_an_error_of_the_function(
    worker_module: ModuleType, worker: Call, aws_place: Place, image_id: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module._worker, "_store", Failing(worker_module._worker._store, image_id))
    with pytest.raises(Unavailable):
        worker(payload(form, key=f"originals/{image_id}", bucket=aws_place.bucket))


def test_work_for_which_no_time_is_left_stays_with_the_queue(
    api: Callable[..., Answer], worker: Call, aws_place: Place
) -> None:
    ids, event = three(api, aws_place)
    left = [{"itemIdentifier": record["messageId"]} for record in event["Records"][1:]]
    assert worker(event, seconds=20) == {"batchItemFailures": left}
    assert [status(api, image_id) for image_id in ids] == ["ready", "pending", "pending"]
    assert worker({"Records": event["Records"][1:]}, seconds=60) == NONE
    assert [status(api, image_id) for image_id in ids] == ["ready", "ready", "ready"]


def test_work_that_had_no_time_in_its_last_delivery_has_not_failed(
    api: Callable[..., Answer], worker: Call, aws_place: Place
) -> None:
    ids, event = three(api, aws_place)
    event["Records"][1]["attributes"]["ApproximateReceiveCount"] = "5"
    left = [{"itemIdentifier": record["messageId"]} for record in event["Records"][1:]]
    assert worker(event, seconds=20) == {"batchItemFailures": left}
    assert [status(api, image_id) for image_id in ids] == ["ready", "pending", "pending"]
    event["Records"][1]["body"] = "junk"
    assert worker(event, seconds=20) == {"batchItemFailures": left}


class Released:
    """A queue that notes what is released, and for how long; with `error` it fails after that."""

    def __init__(self, error: Exception | None = None) -> None:
        self.noted: list[tuple[str, int]] = []
        self._error = error

    def release(self, receipt: str, *, delay: int = 0) -> None:
        self.noted.append((receipt, delay))
        if self._error:
            raise self._error


@pytest.mark.parametrize("error", [None, Unavailable("no"), ValueError("bug")], ids=str)
@pytest.mark.slow
def test_failed_messages_are_released_soon_and_unstarted_ones_at_once(
    api: Callable[..., Answer],
    worker_module: ModuleType,
    worker: Call,
    aws_place: Place,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
) -> None:
    ids, event = three(api, aws_place)
    queue = Released(error)
    monkeypatch.setattr(worker_module, "_backends", worker_module._backends._replace(queue=queue))
    monkeypatch.setattr(worker_module._worker, "_store", Failing(worker_module._worker._store, ids[0], ids[2]))
    records = event["Records"]
    receipts = [record["receiptHandle"] for record in records]
    back = [{"itemIdentifier": record["messageId"]} for record in records]
    records[2]["attributes"]["ApproximateReceiveCount"] = "2"
    assert worker(event) == {"batchItemFailures": [back[0], back[2]]}
    assert queue.noted == [(receipts[0], 2), (receipts[2], 10)]
    queue.noted.clear()
    records[2]["attributes"]["ApproximateReceiveCount"] = "3"  # the queue keeps it longer
    assert worker(event) == {"batchItemFailures": [back[0], back[2]]}
    assert queue.noted == [(receipts[0], 2)]
    queue.noted.clear()
    records[0]["attributes"]["ApproximateReceiveCount"] = "5"
    assert worker(event, seconds=20) == {"batchItemFailures": back}
    assert queue.noted == [(receipts[0], 0), (receipts[1], 0), (receipts[2], 0)]
    queue.noted.clear()
    assert worker({"Records": records[1:2]}) == NONE
    assert queue.noted == []


def test_a_message_that_was_released_comes_again_before_its_queue_would_show_it(
    worker_module: ModuleType, worker: Call, aws_place: Place, image_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_place.events()  # the bucket's own
    event = payload("sqs_one", key=f"originals/{image_id}", bucket=aws_place.bucket, receive_count="5")
    queue = worker_module._backends.queue
    queue.send(event["Records"][0]["body"])
    (message,) = queue.receive()
    event["Records"][0]["receiptHandle"] = message.receipt
    monkeypatch.setattr(worker_module._worker, "_store", Failing(worker_module._worker._store, image_id))
    assert worker(event)["batchItemFailures"]
    (again,) = queue.receive()
    assert (again.id, again.receive_count) == (message.id, 2)
    queue.delete(again.receipt)


def test_files_of_an_interrupted_run_are_removed(worker: Call, scratch: Path) -> None:
    left = scratch / "darkroom" / "picture-x" / "out"
    left.mkdir(parents=True)
    (left / "w320.webp").write_bytes(bytes(1000))
    assert worker(payload("s3_test", bucket="any")) == NONE
    assert list((scratch / "darkroom").iterdir()) == []
