"""Time-outs, memory, visibility and receives fit each other and the application."""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from app.api.middleware.gateway import MARGIN_MS, MAX_SECONDS
from app.bootstrap import visibility_seconds
from app.domain.delivery.deliveries import LEASE, LIFE
from app.domain.keys import ORIGINALS, PROCESSED, original_key, variant_key
from app.domain.limits import MEBIBYTE
from app.domain.maintenance.reconcile import CUT_OFF
from app.domain.ports.outbound import POST_SECONDS
from app.settings import Settings, load
from tests.repository.tree import ROOT
from tests.template.reading import Stack


@pytest.fixture
def settings(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that the worker's function reads from its variables."""
    for name, value in stack.environment("ImageProcessingFunction").items():
        monkeypatch.setenv(name, value)
    return load()


def moving_seconds() -> int:
    """`MOVING_SECONDS` of the worker's entry point, which cannot be imported without a bucket."""
    for node in ast.parse((ROOT / "app" / "lambda_worker.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MOVING_SECONDS":
            return int(ast.literal_eval(node.value))
    raise AssertionError("app/lambda_worker.py has no MOVING_SECONDS")


def test_the_workers_time_is_two_tries_and_the_way_in_and_out(stack: Stack, settings: Settings) -> None:
    timeout = stack["ImageProcessingFunction"]["Timeout"]
    assert timeout == visibility_seconds(settings)
    assert (
        timeout >= settings.processing_timeout_seconds + moving_seconds()
    )  # else a batch's second message is never begun


def test_an_event_is_invisible_for_six_time_outs(stack: Stack) -> None:
    assert stack["EventQueue"]["VisibilityTimeout"] == 6 * stack["ImageProcessingFunction"]["Timeout"]


def test_the_sender_has_time_for_the_requests_of_a_batch(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(Webhooks="true")
    function, queue = stack["WebhookFunction"], stack["WebhookQueue"]
    assert function["Timeout"] == LEASE.total_seconds() > 3 * POST_SECONDS
    assert queue["VisibilityTimeout"] == 6 * function["Timeout"]
    assert queue["MessageRetentionPeriod"] > LIFE.total_seconds()
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == stack.arn("WebhookDeadLetterQueue")
    allow = stack["WebhookDeadLetterQueue"]["RedriveAllowPolicy"]
    assert allow == {"redrivePermission": "byQueue", "sourceQueueArns": [stack.arn("WebhookQueue")]}


def test_the_last_delivery_is_the_same_for_the_queue_and_the_worker(stack: Stack, settings: Settings) -> None:
    redrive = stack["EventQueue"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == settings.max_attempts
    assert redrive["deadLetterTargetArn"] == stack.arn("DeadLetterQueue")
    allow = stack["DeadLetterQueue"]["RedriveAllowPolicy"]
    assert allow == {"redrivePermission": "byQueue", "sourceQueueArns": [stack.arn("EventQueue")]}


def test_reconcile_closes_no_record_whose_last_delivery_goes_on(stack: Stack) -> None:
    assert stack["ImageProcessingFunction"]["Timeout"] < CUT_OFF.total_seconds() / 2


def test_an_event_outlives_all_its_deliveries(stack: Stack) -> None:
    queue, dead = stack["EventQueue"], stack["DeadLetterQueue"]
    all_tries = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert all_tries < queue["MessageRetentionPeriod"]
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 3600 > queue["MessageRetentionPeriod"]


def test_the_workers_memory_is_the_sum_that_is_said_of_it(stack: Stack, settings: Settings) -> None:
    """Of what was measured: `python -m benchmarks.render.memory`."""
    head = re.sub(r"\n# *", " ", (ROOT / "template.yaml").read_text().split("\nMetadata:")[0])
    said = re.search(
        r"worker memory +(\d+) MB .*?\+ (\d+) MB .*?\+ (\d+) MB .*?\+ (\d+) MB .*?= (\d+) MB; (\d+) MB", head
    )
    assert said
    picture, codecs, server, worker, total, size = map(int, said.groups())
    assert picture + codecs + server + worker == total <= size == stack["ImageProcessingFunction"]["MemorySize"]
    assert size == 1769  # one vCPU, says AWS
    assert picture == settings.processing_memory_mb
    measured = json.loads((ROOT / "benchmarks" / "results" / "memory.json").read_text())
    assert worker >= measured["beside"]["worker_mb"]
    assert min(codecs, server) >= measured["beside"]["server_mb"]


def test_the_largest_picture_and_its_variants_fit_on_the_workers_disk(form: dict[str, Any], stack: Stack) -> None:
    largest = int(form["Parameters"]["MaxUploadBytes"]["MaxValue"])
    assert 4 * largest <= stack["ImageProcessingFunction"]["EphemeralStorage"]["Size"] * MEBIBYTE
    for parameter, setting in (
        ("MaxUploadBytes", "max_upload_bytes"),
        ("MaxOpenTickets", "max_open_tickets"),
        ("QuotaBytes", "quota_bytes"),
        ("QuotaImages", "quota_images"),
        ("RateLimit", "rate_limit"),
        ("TrashDays", "trash_days"),
    ):
        assert int(form["Parameters"][parameter]["Default"]) == Settings.model_fields[setting].default


def test_the_api_answers_before_its_time_is_over_and_the_gateway_waits_longer(stack: Stack) -> None:
    timeout = stack["ImageApiFunction"]["Timeout"]
    assert timeout >= MAX_SECONDS + MARGIN_MS / 1000
    assert timeout * 1000 < stack["ApiIntegration"]["TimeoutInMillis"] <= 30_000


def test_a_backlog_leaves_a_new_accounts_api_its_share(form: dict[str, Any]) -> None:
    concurrency = form["Parameters"]["MaximumConcurrency"]
    assert 2 <= int(concurrency["MinValue"]) <= int(concurrency["Default"]) <= 10 // 2


def test_objects_of_the_worker_cause_no_event(any_stack: Stack) -> None:
    (notification,) = any_stack["ImageBucket"]["NotificationConfiguration"]["QueueConfigurations"]
    ((name, prefix),) = ((rule["Name"], rule["Value"]) for rule in notification["Filter"]["S3Key"]["Rules"])
    assert (name, prefix) == ("prefix", ORIGINALS)
    assert notification["Queue"] == any_stack.arn("EventQueue")
    assert notification["Event"] == "s3:ObjectCreated:*"
    assert original_key("019a").startswith(prefix)
    assert not variant_key("019a", "r", "w.webp").startswith(prefix)
    assert not PROCESSED.startswith(prefix)
    assert not prefix.startswith(PROCESSED)
    assert set(any_stack["ImageBucket"]["NotificationConfiguration"]) == {"QueueConfigurations"}


def test_the_bucket_asks_the_queue_after_the_queue_has_its_policy(form: dict[str, Any]) -> None:
    assert form["Resources"]["ImageBucket"]["DependsOn"] == "EventQueuePolicy"


def source_mapping(stack: Stack, function: str = "ImageProcessingFunction") -> Any:
    """Event source of a function, in either form."""
    events = stack[function].get("Events")
    if events is None:
        mappings = stack.of_type("AWS::Lambda::EventSourceMapping").values()
        (mapping,) = (each for each in mappings if each["FunctionName"].endswith(function))
        return mapping | {"Queue": mapping["EventSourceArn"]}
    ((_, event),) = events.items()
    assert event["Type"] == "SQS"
    return event["Properties"]


def test_the_worker_is_fed_by_the_queue_in_parts_that_can_fail_alone(build_stack: Any) -> None:
    stack = build_stack(MaximumConcurrency="7", BatchSize="3")
    mapping = source_mapping(stack)
    assert mapping["Queue"] == stack.arn("EventQueue")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": "7"}
    assert mapping["BatchSize"] == "3"


def test_the_sender_is_fed_by_its_queue_in_parts_that_can_fail_alone(build_stack: Any) -> None:
    stack = build_stack(Webhooks="true")
    mapping = source_mapping(stack, "WebhookFunction")
    assert mapping["Queue"] == stack.arn("WebhookQueue")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert f"BATCH = {mapping['BatchSize']}\n" in (ROOT / "app" / "lambda_webhooks.py").read_text()


def test_batches_need_no_window(form: dict[str, Any]) -> None:
    """AWS refuses a batch of more than ten without one."""
    assert int(form["Parameters"]["BatchSize"]["MaxValue"]) <= 10


def test_reconcile_runs_every_hour_from_the_workers_image(stack: Stack) -> None:
    function = stack["ReconcileFunction"]
    assert function["ImageConfig"]["Command"] == ["app.lambda_reconcile.handler"]
    if "Events" in function:
        ((_, event),) = function["Events"].items()
        assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "rate(1 hour)")
    else:
        ((_, rule),) = stack.of_type("AWS::Events::Rule").items()
        assert rule["ScheduleExpression"] == "rate(1 hour)"
        assert rule.get("State", "ENABLED") == "ENABLED"
        assert [target["Arn"] for target in rule["Targets"]] == [stack.arn("ReconcileFunction")]
        ((_, invoke),) = stack.of_type("AWS::Lambda::EventInvokeConfig").items()
        assert invoke["MaximumRetryAttempts"] == 0


def test_each_function_is_built_from_its_target(form: dict[str, Any]) -> None:
    made_of = {
        name: (
            form["Resources"][name]["Metadata"]["Dockerfile"],
            form["Resources"][name]["Metadata"]["DockerBuildTarget"],
        )
        for name in ("ImageApiFunction", "ImageProcessingFunction", "ReconcileFunction")
    }
    assert made_of == {
        "ImageApiFunction": ("Dockerfile", "api"),
        "ImageProcessingFunction": ("Dockerfile", "worker"),
        "ReconcileFunction": ("Dockerfile", "worker"),
    }
