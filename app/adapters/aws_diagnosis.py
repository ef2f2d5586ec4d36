"""Checks of a bucket, a queue and a table on AWS, by reading their configuration."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.domain.errors import ConfigurationError, Unavailable
from app.domain.maintenance.doctor.findings import Problem, error
from app.domain.models import utcnow

#: Differences of clocks in seconds: AWS refuses signatures from the second one on.
_SKEW_SECONDS, _REFUSED_SECONDS = 60, 300
_REFUSED = ("AccessDenied", "403", "UnauthorizedOperation", "NotAuthorized")
#: Parts of the codes of what does not exist.
_ABSENT = ("404", "NoSuch", "NotFound", "NonExistent")


class _Refused(Exception):
    """The caller lacks the right to read a part of a configuration."""


def open_client(service: str) -> Any:
    """Create a client. Raises `ConfigurationError` without a region or with a malformed endpoint."""
    config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
    try:
        session: Any = boto3.session.Session()
        return session.client(service, config=config)
    except (BotoCoreError, ValueError) as failed:
        raise ConfigurationError(f"s3:// needs AWS credentials and a region (SDK: {failed})") from failed


def check_bucket(client: Any, bucket: str, queue_arn: Callable[[], str], origins: Sequence[str]) -> Iterator[Problem]:
    """Check that the bucket exists, is private, sends events, and lets pages of these origins upload."""
    try:
        with _errors("bucket"):
            client.head_bucket(Bucket=bucket)
    except _Refused:
        yield error("bucket_refused", f"this user may not list the bucket {bucket}", "give it s3:ListBucket")
        return
    except _Missing:
        yield error("bucket_missing", f"the bucket {bucket} does not exist", "correct DARKROOM_STORAGE_URL")
        return
    for right, check in {
        "s3:GetBucketPublicAccessBlock": lambda: _check_private(client, bucket),
        "s3:GetBucketNotification": lambda: _check_events(client, bucket, queue_arn),
        "s3:GetBucketCORS": lambda: _check_cors(client, bucket, origins),
    }.items():
        yield from _checked(right, check)


def check_queue(
    client: Any, url: str, setting: str, *, visibility: float, max_attempts: int | None = None
) -> Iterator[Problem]:
    """Check that the queue that a setting names exists, that its time-out is not shorter than `visibility`, and that
    its attempts are those of the settings."""
    try:
        attributes = read_queue(client, url)
    except _Missing:
        yield error("queue_missing", f"the queue {url} does not exist", f"correct {setting}")
        return
    except _Refused:
        yield error("queue_refused", f"this user may not read the queue {url}", "give it sqs:GetQueueAttributes")
        return
    seconds = int(attributes.get("VisibilityTimeout", 30))
    if seconds < visibility:
        yield Problem(
            "queue_visibility",
            f"the queue's visibility time-out is {seconds} s; a message may take {visibility:,.0f} s and come twice",
            f"set it to at least {visibility:,.0f} s",
        )
    policy = json.loads(attributes.get("RedrivePolicy", "{}"))
    if "deadLetterTargetArn" not in policy:
        yield error(
            "no_dead_letters",
            "the queue has no dead-letter queue: a bad event returns forever",
            "add a redrive policy",
        )
    elif max_attempts is not None and int(policy.get("maxReceiveCount", 0)) != max_attempts:
        yield Problem(
            "queue_attempts",
            f"the queue delivers {policy.get('maxReceiveCount')} times, and DARKROOM_MAX_ATTEMPTS is {max_attempts}",
            "make both equal, so that the last delivery closes the record",
        )


def check_table(client: Any, definition: Mapping[str, Any], expires_at: str) -> Iterator[Problem]:
    """Check that the table and its index exist as in the definition, expire items, and can be restored."""
    table = definition["TableName"]
    try:
        with _errors("table"):
            found = client.describe_table(TableName=table)["Table"]
    except _Missing:
        yield error("table_missing", f"the table {table} does not exist", "correct DARKROOM_DATABASE_URL")
        return
    except _Refused:
        yield error("table_refused", f"this user may not describe the table {table}", "give it dynamodb:DescribeTable")
        return
    if found["KeySchema"] != definition["KeySchema"]:
        key = definition["KeySchema"][0]["AttributeName"]
        yield error("table_keys", f"the key of {table} is not {key}", "create the table of template.yaml")
    indexes = {index["IndexName"]: index for index in found.get("GlobalSecondaryIndexes", ())}
    for wanted in definition["GlobalSecondaryIndexes"]:
        index = indexes.get(wanted["IndexName"])
        if index is None or index["KeySchema"] != wanted["KeySchema"] or index.get("IndexStatus", "ACTIVE") != "ACTIVE":
            remedy = "add it as in template.yaml, or wait until it is active"
            yield error("index_missing", f"the index {wanted['IndexName']} of {table} is missing or not active", remedy)
    yield from _checked("dynamodb:DescribeTimeToLive", lambda: _check_expiry(client, table, expires_at))
    yield from _checked("dynamodb:DescribeContinuousBackups", lambda: _check_backups(client, table))


def check_clock(client: Any, bucket: str) -> Iterator[Problem]:
    """Compare the clock of this machine with that of S3."""
    try:
        with _errors("bucket"):
            answer = client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except (_Missing, _Refused):
        return  # a finding of the bucket
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if not date:
        return
    difference = (utcnow() - parsedate_to_datetime(date).astimezone(UTC)).total_seconds()
    if abs(difference) > _SKEW_SECONDS:
        build = error if abs(difference) > _REFUSED_SECONDS else Problem
        detail = f"the clock of this machine differs from that of AWS by {difference:+,.0f} seconds"
        yield build("clock_differs", detail, "synchronize it (NTP): AWS refuses signatures of a wrong clock")


def read_queue(client: Any, url: str) -> Mapping[str, str]:
    """Return the attributes of the queue."""
    with _errors("queue"):
        found: Mapping[str, str] = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return found


def _check_private(client: Any, bucket: str) -> Iterator[Problem]:
    try:
        with _errors("bucket"):
            block = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    except _Missing:
        block = {}
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    if open_names := [name for name in names if not block.get(name)]:
        yield Problem(
            "bucket_can_be_public",
            f"the bucket does not block public access ({', '.join(open_names)})",
            "turn on all four settings of Block Public Access: no part of the bucket need be public",
        )


def _check_events(client: Any, bucket: str, queue_arn: Callable[[], str]) -> Iterator[Problem]:
    with _errors("bucket"):
        found = client.get_bucket_notification_configuration(Bucket=bucket)
    try:
        wanted = queue_arn()
    except (_Missing, _Refused):
        return  # a finding of the queue
    sent = [each for each in found.get("QueueConfigurations", ()) if each["QueueArn"] == wanted]
    if "EventBridgeConfiguration" not in found and not any(map(_sends_originals, sent)):
        yield error(
            "no_events",
            "the bucket sends no event for new originals to the queue, so uploads stay pending",
            "add a notification of s3:ObjectCreated:* with the prefix originals/ to the queue of DARKROOM_QUEUE_URL",
        )


def _sends_originals(configuration: Mapping[str, Any]) -> bool:
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    prefix = next((rule["Value"] for rule in rules if rule["Name"].lower() == "prefix"), "")
    return "originals/".startswith(prefix) and any(
        event in {"s3:ObjectCreated:*", "s3:ObjectCreated:Put"} for event in configuration["Events"]
    )


def _check_cors(client: Any, bucket: str, origins: Sequence[str]) -> Iterator[Problem]:
    try:
        with _errors("bucket"):
            rules = client.get_bucket_cors(Bucket=bucket)["CORSRules"]
    except _Missing:
        rules = []
    allowed = {origin for rule in rules if "PUT" in rule["AllowedMethods"] for origin in rule["AllowedOrigins"]}
    if missing := [origin for origin in origins if not {origin, "*"} & allowed]:
        yield Problem(
            "bucket_cors",
            f"the bucket lets pages of {', '.join(missing)} send no bytes of upload tickets",
            "add these origins to its CORS rules (parameter AllowedOrigins of template.yaml)",
        )


def _check_expiry(client: Any, table: str, expires_at: str) -> Iterator[Problem]:
    with _errors("table"):
        found = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if found.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"} or found.get("AttributeName") != expires_at:
        remedy = f"turn on time to live with the attribute {expires_at}"
        yield Problem("no_expiry", "the table keeps tombstones and idempotency keys forever", remedy)


def _check_backups(client: Any, table: str) -> Iterator[Problem]:
    with _errors("table"):
        found = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    if found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
        yield Problem("no_recovery", "the table cannot be restored to another time", "turn on point-in-time recovery")


def _checked(right: str, check: Callable[[], Iterator[Problem]]) -> Iterator[Problem]:
    """Run a check that needs a right of its own."""
    try:
        yield from check()
    except _Refused:
        yield Problem("not_checked", f"this user may not read a part of the configuration: {right}", f"give it {right}")


class _Missing(Exception):
    """There is no such resource, or no such part of its configuration."""


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as refused:
        code = str(refused.response.get("Error", {}).get("Code"))
        if any(part in code for part in _REFUSED):
            raise _Refused from refused
        if any(part in code for part in _ABSENT):
            raise _Missing from refused
        raise Unavailable(f"The {what} cannot be read ({code}).") from refused
    except BotoCoreError as failed:
        raise Unavailable(f"The {what} cannot be read: {failed}") from failed
