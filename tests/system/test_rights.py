"""Each function's role may do its work and nothing else, by the decision of something that knows IAM's rules."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.system.emulator import Emulator
from tests.system.stack import Stack

pytestmark = pytest.mark.system

Attempt = Callable[["Hands"], Any]


@dataclass(frozen=True)
class Hands:
    """Clients with the rights of one role."""

    s3: Any
    sqs: Any
    dynamodb: Any
    bucket: str
    table: str
    queue: str
    dead: str


def hands(aws: Emulator, deployed: Stack, role: str) -> Hands:
    """Those that a function has by its role."""
    arn = aws.client("iam").get_role(RoleName=deployed.ids[role])["Role"]["Arn"]
    given = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    credentials = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    clients = {name: aws.client(name, credentials) for name in ("s3", "sqs", "dynamodb")}
    out = deployed.outputs
    return Hands(**clients, bucket=out["Bucket"], table=out["Table"], queue=out["Queue"], dead=out["DeadLetters"])


def put(key: str) -> Attempt:
    return lambda with_: with_.s3.put_object(Bucket=with_.bucket, Key=key, Body=b"x")


def get(key: str) -> Attempt:
    return lambda with_: with_.s3.get_object(Bucket=with_.bucket, Key=key)


def delete(key: str) -> Attempt:
    return lambda with_: with_.s3.delete_object(Bucket=with_.bucket, Key=key)


def list_(prefix: str) -> Attempt:
    return lambda with_: with_.s3.list_objects_v2(Bucket=with_.bucket, Prefix=prefix)


def read_record(with_: Hands) -> Any:
    return with_.dynamodb.get_item(TableName=with_.table, Key={"ImageID": {"S": "none"}})


def query(with_: Hands) -> Any:
    return with_.dynamodb.query(
        TableName=with_.table, IndexName="ByIndex", KeyConditionExpression="index_key = :k",
        ExpressionAttributeValues={":k": {"S": "none"}},
    )  # fmt: skip


def scan(with_: Hands) -> Any:
    return with_.dynamodb.scan(TableName=with_.table)


def drop(with_: Hands) -> Any:
    return with_.dynamodb.delete_table(TableName=with_.table)


def send(with_: Hands) -> Any:
    return with_.sqs.send_message(QueueUrl=with_.queue, MessageBody='{"Event": "s3:TestEvent"}')


def count_waiting(with_: Hands) -> Any:
    return with_.sqs.get_queue_attributes(QueueUrl=with_.queue, AttributeNames=["ApproximateNumberOfMessages"])


def receive(with_: Hands) -> Any:
    return with_.sqs.receive_message(QueueUrl=with_.queue)


def bury(with_: Hands) -> Any:
    return with_.sqs.send_message(QueueUrl=with_.dead, MessageBody="{}")


def open_up(with_: Hands) -> Any:
    return with_.s3.delete_bucket_policy(Bucket=with_.bucket)


#: What no function may: other places, every record at once, the table, the dead letters, the bucket's own policy.
NEVER: dict[str, Attempt] = {
    "put at the root": put("rights"), "get at the root": get("rights"), "put beside": put("originals-2/rights"),
    "list everything": list_(""), "scan": scan, "drop the table": drop, "bury": bury, "open the bucket": open_up,
}  # fmt: skip
#: What each may, and what it may not though another does.
ROLES: dict[str, tuple[dict[str, Attempt], dict[str, Attempt]]] = {
    "ImageApiRole": (
        {"put an original": put("originals/rights"), "get an original": get("originals/rights"),
         "get a variant": get("processed/rights"), "put a variant": put("processed/rights"),
         "delete a variant": delete("processed/rights-2"), "list variants": list_("processed/rights"),
         "read": read_record, "query": query, "send": send},
        {"list originals": list_("originals/"), "receive": receive},
    ),
    "ImageProcessingRole": (
        {"put a variant": put("processed/rights"), "get an original": get("originals/rights"),
         "get a variant": get("processed/rights"), "list variants": list_("processed/rights"), "read": read_record},
        {"put an original": put("originals/rights"),
         "list originals": list_("originals/"), "query": query, "send": send},
    ),
    "ReconcileRole": (
        {"get a variant": get("processed/rights"), "put a variant": put("processed/rights"),
         "delete a variant": delete("processed/rights-2"),
         "list originals": list_("originals/"), "list variants": list_("processed/"), "read": read_record,
         "query": query, "send": send, "count what waits": count_waiting},
        {"put an original": put("originals/rights"), "get an original": get("originals/rights"), "receive": receive},
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def something_to_read(aws: Emulator, deployed: Stack) -> None:
    for key in ("originals/rights", "processed/rights", "processed/rights-2", "rights"):
        aws.client("s3").put_object(Bucket=deployed.outputs["Bucket"], Key=key, Body=b"x")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_its_work_and_nothing_else(aws: Emulator, deployed: Stack, role: str) -> None:
    its = hands(aws, deployed, role)
    may, may_not = ROLES[role]
    for attempt in may.values():
        attempt(its)
    for name, attempt in {**may_not, **NEVER}.items():
        with pytest.raises(ClientError) as refused:
            attempt(its)
        error = refused.value.response["Error"]
        assert error["Code"] in {"AccessDenied", "AccessDeniedException"}, name
        assert deployed.ids[role] in error["Message"], name
