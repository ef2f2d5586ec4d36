"""One photograph through the whole AWS side: accepted by the API, processed by the worker, read from the bucket."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image as Pillow

from app.domain.images.notifications import object_created
from app.domain.recipe import DEFAULT_RECIPE
from tests import aws
from tests.engines import ACCESS_KEY, REGION, SECRET_KEY
from tests.entry_points.opened import opened
from tests.on_aws.gateway import Context, answer_of, event_of
from tests.on_aws.presigned import Fetch, by_moto, by_network, reader
from tests.samples import photograph

pytestmark = pytest.mark.moto


@dataclass
class Deployed:
    """Both functions with their bucket, queue and table. `announce` stands for a bucket that sends no events."""

    made: aws.Clients
    bucket: str
    queue_url: str
    client: httpx.Client
    worker: Callable[[Any, Any], Any]
    fetch: Fetch
    announce: bool

    def keys(self) -> list[str]:
        """Every object there is."""
        return [item["Key"] for item in self.made.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def deliver(self) -> list[Any]:
        """Hand what lies in the queue to the worker as Lambda does, in one batch; its answer, if it was called."""
        found = self.made.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        ).get("Messages", [])
        records = [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:{self.queue_url.rpartition('/')[2]}",
                "awsRegion": REGION,
            }
            for message in found
        ]
        if not records:
            return []
        answer = self.worker({"Records": records}, Context(300))
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in found:
            if message["MessageId"] not in failed:
                self.made.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [answer]


@pytest.fixture(params=["moto", pytest.param("engines", marks=pytest.mark.engines)])
def deployed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployed]:
    real = request.param == "engines"
    made = aws.engines() if real else aws.moto()
    with ExitStack() as stack:
        bucket = stack.enter_context(aws.bucket(made.s3))
        table = stack.enter_context(aws.table(made.dynamodb))
        url = stack.enter_context(aws.queue(made.sqs, visibility=120, max_attempts=5))
        if not real:
            aws.notify(made, bucket, url)
        places = {"S3": made.s3, "DYNAMODB": made.dynamodb}
        endpoints = {f"AWS_ENDPOINT_URL_{name}": client.meta.endpoint_url for name, client in places.items()}
        environment = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "DARKROOM_STORAGE_URL": f"s3://{bucket}",
            "DARKROOM_DATABASE_URL": f"dynamodb://{table}",
            "DARKROOM_QUEUE_URL": url,
            "DARKROOM_SECRET": "a secret of the tests",
            "DARKROOM_ALLOW_ANONYMOUS": "true",
            **(endpoints if real else {}),
        }
        api = stack.enter_context(opened("app.lambda_api", environment, tmp_path))
        worker = stack.enter_context(opened("app.lambda_worker", environment, tmp_path))
        transport = httpx.MockTransport(lambda asked: answer_of(api.handler(event_of(asked), Context())))
        client = stack.enter_context(httpx.Client(transport=transport, base_url="https://img.example.org"))
        here = f"{made.s3.meta.endpoint_url}/{bucket}/" if real else f"https://{bucket}.s3.{REGION}.amazonaws.com/"
        fetch = reader(by_network if real else by_moto, here)
        yield Deployed(made, bucket, url, client, worker.handler, fetch, announce=real)


def test_a_photograph_goes_in_and_its_variants_come_out(deployed: Deployed) -> None:
    body = photograph("photo-12mp.jpg")
    made = deployed.client.post("/upload", files={"file": ("Hills.jpg", body, "image/jpeg")}, data={"tags": "sea"})
    assert (made.status_code, made.json()["status"]) == (201, "pending"), made.text
    image_id = made.json()["id"]
    assert deployed.keys() == [f"originals/{image_id}"]
    if deployed.announce:
        event = object_created(f"originals/{image_id}", len(body), deployed.bucket)
        deployed.made.sqs.send_message(QueueUrl=deployed.queue_url, MessageBody=event)

    assert deployed.deliver() == [{"batchItemFailures": []}]
    assert deployed.deliver() == []

    record = deployed.client.get(f"/images/{image_id}").json()
    assert record["status"] == "ready", record
    assert [item["id"] for item in deployed.client.get("/images?status=ready&tag=sea").json()["items"]] == [image_id]
    expected = {(spec.name, form.value) for spec in DEFAULT_RECIPE.variants for form in spec.formats}
    assert {(variant["name"], variant["format"]) for variant in record["variants"]} == expected
    for variant in record["variants"]:
        found = deployed.fetch(deployed.client.get(variant["url"]).headers["location"])
        assert found.status_code == 200, found.text
        assert found.headers["content-type"] == f"image/{variant['format']}"
        assert len(found.content) == variant["bytes"]
        with Pillow.open(io.BytesIO(found.content)) as picture:
            picture.load()
            assert picture.format == variant["format"].upper()
            assert picture.size == (variant["width"], variant["height"])
    original = deployed.fetch(deployed.client.get(f"/images/{image_id}/original").headers["location"])
    assert original.content == body
    assert original.headers["content-disposition"] == 'attachment; filename="Hills.jpg"'

    again = deployed.client.post("/upload", files={"file": ("other.jpg", body)})
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (200, image_id, True)

    assert deployed.client.delete(f"/images/{image_id}").status_code == 204
    assert deployed.keys() == []
    assert deployed.client.get(f"/images/{image_id}").status_code == 404
    assert deployed.client.get(record["variants"][0]["url"]).status_code == 404
