"""The AWS side of tests: clients made once, and fresh tables, buckets and queues for every test."""

import atexit
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from app.adapters.dynamodb import table_definition
from app.adapters.dynamodb.access.table import access_table_definition
from tests.engines import ACCESS_KEY, REGION, SECRET_KEY, dynamodb_local, missing, seaweedfs

_CONFIG = Config(
    connect_timeout=60,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 3},
    s3={"addressing_style": "path"},
    signature_version="s3v4",
)


@dataclass(frozen=True)
class Clients:
    """One client a service, all of one place: moto in this process, or real engines."""

    dynamodb: Any
    s3: Any
    sqs: Any
    credentials: Any


def clients(dynamodb: str | None = None, s3: str | None = None) -> Clients:
    """Clients of these endpoints. Under moto there are none."""
    session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)
    plain = _CONFIG.merge(Config(signature_version="v4"))
    return Clients(
        dynamodb=session.client("dynamodb", config=plain, endpoint_url=dynamodb),
        s3=session.client("s3", config=_CONFIG, endpoint_url=s3),
        sqs=session.client("sqs", config=plain),
        credentials=session.get_credentials(),
    )


@cache
def moto() -> Clients:
    """moto, for the rest of this process, one call at a time: it has no atomic writes of its own."""
    mock_aws().start()
    made = clients()
    lock = threading.RLock()
    for client in (made.dynamodb, made.s3):
        client._make_api_call = _one_at_a_time(client._make_api_call, lock)
    return made


def _one_at_a_time(call: Callable[..., Any], lock: threading.RLock) -> Callable[..., Any]:
    def locked(*arguments: Any) -> Any:
        with lock:
            return call(*arguments)

    return locked


@cache
def engines() -> Clients:
    """DynamoDB Local and SeaweedFS, started for the rest of this process; the queue is moto's."""
    why = missing()
    if why:
        pytest.skip(why)
    stack = ExitStack()
    atexit.register(stack.close)
    made = clients(stack.enter_context(dynamodb_local()), stack.enter_context(seaweedfs()))
    return Clients(made.dynamodb, made.s3, moto().sqs, made.credentials)


@contextmanager
def table(client: Any) -> Iterator[str]:
    """An empty table with its index; its name."""
    name = f"ImageMetadata-{uuid4().hex}"
    # A busy engine can answer after the time-out, and the SDK's repetition then finds the request done.
    with suppress(client.exceptions.ResourceInUseException):
        client.create_table(**table_definition(name))
    yield name
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_table(TableName=name)


@contextmanager
def access_table(client: Any, table: str) -> Iterator[str]:
    """An empty table of API keys, which belongs to the other table; its name."""
    name = f"{table}-Access"
    with suppress(client.exceptions.ResourceInUseException):  # as above
        client.create_table(**access_table_definition(name))
    yield name
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_table(TableName=name)


@contextmanager
def bucket(client: Any) -> Iterator[str]:
    """An empty bucket; its name."""
    name = f"pictures-{uuid4().hex}"
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):  # as above
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield name
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=name, Key=item["Key"])
    with suppress(client.exceptions.NoSuchBucket):
        client.delete_bucket(Bucket=name)


@contextmanager
def queue(client: Any, visibility: int, max_attempts: int) -> Iterator[str]:
    """A queue with dead letters; its url."""
    name = uuid4().hex
    dead = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": max_attempts}
    attributes = {"VisibilityTimeout": str(visibility), "RedrivePolicy": json.dumps(policy)}
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    yield url
    client.delete_queue(QueueUrl=url)
    client.delete_queue(QueueUrl=dead)


def notify(made: Clients, bucket: str, queue_url: str) -> None:
    """Have the bucket send an event to the queue for every new original."""
    arn = made.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rules = [{"Name": "prefix", "Value": "originals/"}]
    made.s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}
            ]
        },
    )
