"""Events in every supported form, and those that are ignored."""

import json
import logging
from typing import Any
from urllib.parse import quote_plus

import pytest

from app.domain.errors import Unavailable
from app.domain.ids import new_id
from app.domain.images.notifications import object_created
from app.domain.keys import original_key
from app.domain.models import Status
from app.worker.events import delay_after, handle_event
from app.worker.process import Outcome
from tests.samples import encoded
from tests.sides import Interposed
from tests.worker.conftest import Bench

NONE_FAILED: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}


def s3(*keys: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """An S3 notification as AWS writes it."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-west-1",
                "eventTime": "2026-01-01T00:00:00.000Z",
                "eventName": name,
                "userIdentity": {"principalId": "AWS:X"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": "b", "arn": "arn:aws:s3:::b"},
                    "object": {"key": quote_plus(key, safe="/"), "size": 1, "eTag": "x", "sequencer": "00"},
                },
            }
            for key in keys
        ]
    }


def sqs(*bodies: Any, receives: int = 1) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:1:q",
            }
            for number, body in enumerate(bodies)
        ]
    }


def sns(event: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn", "Message": json.dumps(event)}


def eventbridge(key: str, kind: str = "Object Created") -> dict[str, Any]:
    return {
        "version": "0",
        "detail-type": kind,
        "source": "aws.s3",
        "detail": {"version": "0", "bucket": {"name": "b"}, "object": {"key": key, "size": 1}},
    }


@pytest.mark.parametrize(
    "wrap",
    [
        s3,
        lambda key: sqs(s3(key)),
        lambda key: sqs(sns(s3(key))),
        eventbridge,
        lambda key: sqs(eventbridge(key)),
        lambda key: sqs(object_created(key, 1)),
        lambda key: s3(key, name="s3:ObjectCreated:CompleteMultipartUpload"),
        lambda key: s3("processed/x", key, key),
    ],
)
def test_every_form_leads_to_the_image(bench: Bench, wrap: Any) -> None:
    image_id = bench.upload(encoded())
    worker = bench.worker()
    assert handle_event(wrap(original_key(image_id)), worker) == NONE_FAILED
    assert bench.image(image_id).status is Status.READY
    assert worker.counts == {Outcome.READY: 1}


@pytest.mark.parametrize(
    "event",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"},
        sqs({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
        {},
        [],
        None,
        "text",
        {"Records": []},
        {"Records": [None, 3, {}, {"eventName": 5}, {"eventName": "ObjectCreated:Put", "s3": {"object": {}}}]},
        {"Records": {"a": 1}},
        sqs("not json", "[]", "null", "[" * 100_000, '{"Records": 5}', ""),
        {"Records": [{"eventSource": "aws:sqs"}]},
        sqs(sns(sns("again"))),
        {"detail-type": "Object Created", "detail": {"object": None}},
        s3("processed/x/y/z.webp", "originals/", "originals/../x", "originals/é a+b%25", "elsewhere/cat.jpg"),
        s3(f"originals/{new_id()}/x"),
        s3(f"originals/{new_id()}", name="ObjectRemoved:Delete"),
        eventbridge(f"originals/{new_id()}", "Object Deleted"),
    ],
    ids=range(17),
)
@pytest.mark.sampled(4)
def test_other_events_are_ignored(bench: Bench, event: Any) -> None:
    worker = bench.worker(adopt=True)
    assert handle_event(event, worker) == NONE_FAILED
    assert not worker.counts
    assert not bench.side.objects()


def test_keys_are_decoded_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    image_id = bench.upload(encoded())
    twice = s3(quote_plus(original_key(image_id), safe=""))
    worker = bench.worker()
    with caplog.at_level(logging.WARNING):
        handle_event(twice, worker)
    assert not worker.counts
    assert [record.__dict__["folder"] for record in caplog.records] == ["another"]
    encoded_hyphens = s3(original_key(image_id))
    raw = encoded_hyphens["Records"][0]["s3"]["object"]
    raw["key"] = raw["key"].replace("-", "%2D")
    handle_event(encoded_hyphens, worker)
    assert worker.counts == {Outcome.READY: 1}


def broken_for(bench: Bench, *image_ids: str) -> Any:
    def refuse(key: str) -> None:
        if any(image_id in key for image_id in image_ids):
            raise Unavailable("no")

    return Interposed(bench.side.store, before={"open": refuse})


def test_only_failed_messages_are_delivered_again(bench: Bench) -> None:
    ids = [bench.upload(encoded(seed=seed)) for seed in range(5)]
    worker = bench.worker(store=broken_for(bench, ids[3]))
    answer = handle_event(sqs(*(s3(original_key(image_id)) for image_id in ids)), worker)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m3"}]}
    assert [bench.image(image_id).status.value for image_id in ids] == ["ready"] * 3 + ["pending", "ready"]


def test_a_message_of_several_records_fails_if_one_does_after_all_were_tried(bench: Bench) -> None:
    ids = [bench.upload(encoded(seed=seed)) for seed in range(3)]
    worker = bench.worker(store=broken_for(bench, ids[0]))
    body = s3(*map(original_key, ids))
    assert handle_event(sqs(body), worker) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert [bench.image(image_id).status.value for image_id in ids] == ["pending", "ready", "ready"]


def test_an_event_that_is_not_from_a_queue_raises_after_all_were_tried(bench: Bench) -> None:
    ids = [bench.upload(encoded(seed=seed)) for seed in range(2)]
    worker = bench.worker(store=broken_for(bench, ids[0]))
    with pytest.raises(Unavailable):
        handle_event(s3(*map(original_key, ids)), worker)
    assert [bench.image(image_id).status.value for image_id in ids] == ["pending", "ready"]


def test_a_poison_image_is_acknowledged(bench: Bench) -> None:
    image_id = bench.upload(encoded()[:300])
    assert handle_event(sqs(s3(original_key(image_id))), bench.worker()) == NONE_FAILED
    assert bench.image(image_id).status is Status.FAILED


def test_the_last_delivery_closes_the_record_and_still_fails(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    worker = bench.worker(store=broken_for(bench, image_id))
    failed = {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert handle_event(sqs(s3(original_key(image_id)), receives=2), worker) == failed
    assert bench.image(image_id).status is Status.PENDING
    assert handle_event(sqs(s3(original_key(image_id)), receives=3), worker) == failed
    image = bench.image(image_id)
    assert image.error
    assert (image.status, image.error.code) == (Status.FAILED, "attempts_exhausted")
    assert handle_event(sqs(s3(original_key(image_id)), receives=1), bench.worker()) == NONE_FAILED
    assert bench.image(image_id).status is Status.READY


def test_a_last_delivery_that_succeeds_is_no_failure(bench: Bench) -> None:
    image_id = bench.upload(encoded())
    assert handle_event(sqs(s3(original_key(image_id)), receives=3), bench.worker()) == NONE_FAILED
    assert bench.image(image_id).status is Status.READY


def test_each_attempt_waits_longer_up_to_five_minutes_and_the_last_not_at_all() -> None:
    assert [delay_after(receives, 5) for receives in range(1, 7)] == [2, 10, 50, 250, 0, 0]
    assert delay_after(9, 1000) == delay_after(999, 1000) == 300
    assert delay_after(0, 5) == delay_after(-3, 5) == 2
