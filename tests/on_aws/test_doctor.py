"""`darkroom doctor` on AWS: each finding about bucket, queue, table and clock, provoked once."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from app.adapters.dynamodb.keys import NEW_OWNERS
from app.adapters.s3.cors import cors_rules
from app.domain.delivery.deliveries import build_delivery
from app.domain.delivery.events import build_test_event
from app.domain.ids import first_id_at
from app.domain.models import utcnow
from tests import aws
from tests.domain.delivery.receivers import an_endpoint
from tests.transfer.installations import Installation, installation

pytestmark = pytest.mark.slow
SITE = "https://www.example.org"


class Deployed:
    """An installation on moto, configured as the template does."""

    def __init__(self, opened: Installation) -> None:
        self.opened = opened
        stores: Any = opened.side
        self.bucket, self.table, self.url = stores.store._bucket, stores.images._table, stores.queue._url
        made = aws.moto()
        self.s3, self.sqs, self.dynamodb = made.s3, made.sqs, made.dynamodb
        self.block(on=True)
        self.s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration=cors_rules([SITE]))
        self.dynamodb.update_time_to_live(
            TableName=self.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
        )
        self.recover(on=True)
        self.attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        policy = json.loads(self.attributes["RedrivePolicy"]) | {"maxReceiveCount": 5}
        self.set_queue(VisibilityTimeout="720", RedrivePolicy=json.dumps(policy))

    def block(self, *, on: bool) -> None:
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        self.s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=dict.fromkeys(names, on))

    def recover(self, *, on: bool) -> None:
        self.dynamodb.update_continuous_backups(
            TableName=self.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on}
        )

    def set_queue(self, **attributes: str) -> None:
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes=attributes)

    def findings(self, **settings: str) -> dict[str, dict[str, Any]]:
        """Run the command; its findings by code."""
        keys = {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": f"ann:read:{'0' * 64}"}
        done = self.opened.run("doctor", "--json", **({"DARKROOM_SECRET": "0123456789abcdef"} | keys | settings))
        found = [json.loads(line) for line in done.stdout.splitlines()]
        severities = {finding["severity"] for finding in found}
        assert done.exit_code == (2 if "error" in severities else 1 if "warning" in severities else 0), done.stderr
        return {finding["code"]: finding for finding in found if finding["severity"] != "ok"}


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployed]:
    with installation("moto", tmp_path) as opened:
        yield Deployed(opened)


def test_a_good_installation_has_no_finding(deployed: Deployed) -> None:
    assert deployed.findings() == {}
    assert deployed.findings(DARKROOM_CORS_ORIGINS=SITE) == {}


@pytest.mark.parametrize(
    ("code", "severity", "change"),
    [
        ("bucket_can_be_public", "warning", lambda it: it.block(on=False)),
        ("bucket_can_be_public", "warning", lambda it: it.s3.delete_public_access_block(Bucket=it.bucket)),
        (
            "no_events", "error",
            lambda it: it.s3.put_bucket_notification_configuration(Bucket=it.bucket, NotificationConfiguration={}),
        ),
        ("queue_visibility", "warning", lambda it: it.set_queue(VisibilityTimeout="60")),
        (
            "queue_attempts", "warning",
            lambda it: it.set_queue(RedrivePolicy=it.attributes["RedrivePolicy"]),
        ),
        ("no_dead_letters", "error", lambda it: it.set_queue(RedrivePolicy="")),
        ("no_recovery", "warning", lambda it: it.recover(on=False)),
        (
            "no_expiry", "warning",
            lambda it: it.dynamodb.update_time_to_live(
                TableName=it.table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"}
            ),
        ),
        (
            "index_missing", "error",
            lambda it: it.dynamodb.update_table(
                TableName=it.table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "ByIndex"}}]
            ),
        ),
    ],
)  # fmt: skip
def test_configurations_that_differ_from_the_template(
    deployed: Deployed, code: str, severity: str, change: Callable[[Deployed], object]
) -> None:
    change(deployed)
    found = deployed.findings()
    assert found[code]["severity"] == severity
    assert found[code]["remedy"]


def test_a_service_that_is_open_to_everybody(deployed: Deployed) -> None:
    everybody = {"DARKROOM_AUTH": "none", "DARKROOM_API_KEYS": "", "DARKROOM_ALLOW_ANONYMOUS": "true"}
    assert list(deployed.findings(**everybody)) == ["open_to_everybody", "no_rate_limit"]
    assert list(deployed.findings(**everybody, DARKROOM_RATE_LIMIT="5")) == ["open_to_everybody"]


def test_origins_that_the_bucket_does_not_know(deployed: Deployed) -> None:
    found = deployed.findings(DARKROOM_CORS_ORIGINS=f"{SITE}, https://shop.example.org")
    assert list(found) == ["bucket_cors"]
    assert "https://shop.example.org" in found["bucket_cors"]["detail"]
    assert SITE not in found["bucket_cors"]["detail"]
    deployed.s3.delete_bucket_cors(Bucket=deployed.bucket)
    assert list(deployed.findings(DARKROOM_CORS_ORIGINS=SITE)) == ["bucket_cors"]


def test_a_cdn_whose_caches_are_not_cleared(deployed: Deployed) -> None:
    assert list(deployed.findings(DARKROOM_CDN_URL="https://cdn.example.org")) == ["cdn_keeps_hidden"]


@pytest.mark.parametrize(
    ("code", "setting", "value"),
    [
        ("bucket_missing", "DARKROOM_STORAGE_URL", "s3://nowhere-at-all"),
        ("table_missing", "DARKROOM_DATABASE_URL", "dynamodb://Nowhere"),
        ("queue_missing", "DARKROOM_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/nowhere"),
    ],
)
def test_stores_that_do_not_exist(deployed: Deployed, code: str, setting: str, value: str) -> None:
    found = deployed.findings(**{setting: value})
    assert found[code]["severity"] == "error"
    assert setting in found[code]["remedy"]


def test_a_table_with_another_key(deployed: Deployed) -> None:
    deployed.dynamodb.create_table(
        TableName="Other", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    try:
        assert {"table_keys", "index_missing"} <= deployed.findings(DARKROOM_DATABASE_URL="dynamodb://Other").keys()
    finally:
        deployed.dynamodb.delete_table(TableName="Other")


def test_images_of_an_earlier_version_that_are_not_counted_by_format(deployed: Deployed) -> None:
    def count(owner: str, counts: str) -> None:
        deployed.dynamodb.update_item(
            TableName=deployed.table,
            Key={"ImageID": {"S": f"stats#{owner}"}},
            UpdateExpression=f"SET index_key = :list, index_sort = :owner ADD {counts}",
            **({"ExpressionAttributeNames": {"#webp": "format:webp:images"}} if "#webp" in counts else {}),
            ExpressionAttributeValues={":list": {"S": NEW_OWNERS}, ":owner": {"S": owner}, ":number": {"N": "3"}},
        )

    count("ann", "ready :number, #webp :number")
    assert deployed.findings() == {}
    count("ann", "ready :number")
    count("bob", "ready :number")
    found = deployed.findings()
    assert list(found) == ["formats_not_counted"]
    assert "of ann (one of 2 owners) lack 3 or more images" in found["formats_not_counted"]["detail"]
    assert "darkroom owner recount ann" in found["formats_not_counted"]["remedy"]


@pytest.fixture
def webhooks(deployed: Deployed) -> Iterator[dict[str, str]]:
    """Setting of a queue of webhooks, configured as the template does."""
    with aws.queue(deployed.sqs, 360, 5) as url:
        yield {"DARKROOM_WEBHOOK_QUEUE_URL": url}


def add_event(deployed: Deployed, age: timedelta, **fields: Any) -> None:
    """Write an event of this age, with a pending delivery that has these fields."""
    adapters = deployed.opened.side.webhooks
    assert adapters is not None
    event = build_test_event("ann", utcnow() - age)
    event = event.model_copy(update={"id": f"evt_{first_id_at(event.created_at).replace('-', '')}"})
    endpoint = an_endpoint(url="https://hooks.example/a-secret-path")
    adapters.endpoints.create(endpoint)
    delivery = build_delivery(event, endpoint.id)
    adapters.deliveries.add(event, [delivery])
    if fields:
        adapters.deliveries.replace(delivery.changed(**fields))


def test_webhooks_that_arrive(deployed: Deployed, webhooks: dict[str, str]) -> None:
    assert deployed.findings(**webhooks) == {}
    add_event(deployed, timedelta(minutes=90))
    add_event(deployed, timedelta(hours=5), wake_up_at=utcnow() - timedelta(minutes=5))
    assert deployed.findings(**webhooks) == {}


def test_webhooks_that_nobody_sends(deployed: Deployed, webhooks: dict[str, str]) -> None:
    add_event(deployed, timedelta(hours=3))
    found = deployed.findings(**webhooks)
    assert list(found) == ["webhooks_late"]
    assert found["webhooks_late"]["severity"] == "error"


def test_messages_of_webhooks_that_failed(deployed: Deployed, webhooks: dict[str, str]) -> None:
    (url,) = webhooks.values()
    policy = deployed.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    dead = json.loads(policy["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    deployed.sqs.send_message(QueueUrl=deployed.sqs.get_queue_url(QueueName=dead)["QueueUrl"], MessageBody="evt_1")
    assert list(deployed.findings(**webhooks)) == ["webhook_dead_letters"]
    deployed.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "30"})
    assert list(deployed.findings(**webhooks)) == ["webhook_dead_letters", "queue_visibility"]


def test_a_queue_of_webhooks_that_does_not_exist(deployed: Deployed, webhooks: dict[str, str]) -> None:
    (url,) = webhooks.values()
    found = deployed.findings(DARKROOM_WEBHOOK_QUEUE_URL=f"{url}-nowhere")
    assert "DARKROOM_WEBHOOK_QUEUE_URL" in found["queue_missing"]["remedy"]


def test_reconcile_sends_messages_of_webhooks_again(deployed: Deployed, webhooks: dict[str, str]) -> None:
    add_event(deployed, timedelta(hours=3))
    assert deployed.opened.report("reconcile", **webhooks)["webhooks_repeated"] == 1


@pytest.mark.parametrize(
    ("operation", "code", "right"),
    [
        ("HeadBucket", "bucket_refused", "s3:ListBucket"),
        ("GetBucketCors", "not_checked", "s3:GetBucketCORS"),
        ("GetQueueAttributes", "queue_refused", "sqs:GetQueueAttributes"),
        ("DescribeTable", "table_refused", "dynamodb:DescribeTable"),
        ("DescribeTimeToLive", "not_checked", "dynamodb:DescribeTimeToLive"),
    ],
)
def test_rights_that_are_missing(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, right: str
) -> None:
    call = BaseClient._make_api_call

    def refuse(client: Any, name: str, arguments: Any) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, name)
        return call(client, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    assert right in deployed.findings()[code]["remedy"]


@pytest.mark.parametrize(("seconds", "severity"), [(120, "warning"), (-3600, "error")])
def test_a_clock_that_differs_from_that_of_aws(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, seconds: int, severity: str
) -> None:
    monkeypatch.setattr("app.adapters.aws_diagnosis.utcnow", lambda: utcnow() + timedelta(seconds=seconds))
    found = deployed.findings()
    assert list(found) == ["clock_differs"]
    assert found["clock_differs"]["severity"] == severity


def test_credentials_that_are_missing(tmp_path: Path, deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
        deployed.opened.environment.pop(name, None)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    found = deployed.findings()
    assert found["cannot_open"]["severity"] == "error"
    assert "region" in found["cannot_open"]["detail"]
