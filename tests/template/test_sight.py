"""Alarms, logs and the dashboard look at what is there."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.models import FailureCode
from app.metrics import NAMESPACE
from tests.log_lines import METRICS
from tests.template.conftest import ALL
from tests.template.reading import Stack

#: What wakes somebody, and from which figure on.
ALARMS = {
    "ApiErrorsAlarm": ("AWS/Lambda", "Errors", 1),
    "WorkerErrorsAlarm": ("AWS/Lambda", "Errors", 1),
    "ReconcileErrorsAlarm": ("AWS/Lambda", "Errors", 1),
    "ApiThrottlesAlarm": ("AWS/Lambda", "Throttles", 1),
    "WorkerThrottlesAlarm": ("AWS/Lambda", "Throttles", 1),
    "QueueAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", 1440),
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1),
    "ServerErrorsAlarm": ("AWS/ApiGateway", "5xx", 5),
    "LatencyAlarm": ("AWS/ApiGateway", "Latency", 22000),
    "ProcessingTimeAlarm": ("AWS/Lambda", "Duration", 60000),
    "FaultsAlarm": (NAMESPACE, "Faults", 5),
}

#: What S3's metric calls the bytes of each `OriginalsTier`.
STORED_AS = {
    "NONE": {"StandardStorage"},
    "INTELLIGENT_TIERING": {
        "IntelligentTieringFAStorage", "IntelligentTieringIAStorage", "IntelligentTieringAIAStorage",
    },
    "STANDARD_IA": {"StandardIAStorage"},
    "GLACIER_IR": {"GlacierInstantRetrievalStorage"},
}  # fmt: skip


def there(stack: Stack) -> dict[str, set[str]]:
    """Resources that dimensions may name."""
    return {
        "FunctionName": {f"darkroom-{name}" for name in stack.functions()},
        "QueueName": {stack.arn(name).rpartition(":")[2] for name in stack.of_type("AWS::SQS::Queue")},
        "TableName": {stack["ImageMetadata"]["TableName"]},
        "GlobalSecondaryIndexName": {index["IndexName"] for index in stack["ImageMetadata"]["GlobalSecondaryIndexes"]},
        "BucketName": {stack["ImageBucket"]["BucketName"]},
        "ApiId": {"darkroom-imageuploadapi"},
        "Stage": {stack["ApiStage"]["StageName"]},
        "StorageType": {"AllStorageTypes", *(kind for kinds in STORED_AS.values() for kind in kinds)},
        "service": {stack.environment("ImageApiFunction")["DARKROOM_SERVICE"]},
        "code": set(FailureCode),
    }


def test_the_alarms_are_these(stack: Stack) -> None:
    found = {
        name: (alarm["Namespace"], alarm["MetricName"], int(alarm["Threshold"]))
        for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items()
    }
    assert found == ALARMS


def test_they_look_at_what_is_there_and_stay_quiet_without_news(stack: Stack) -> None:
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        for dimension in alarm["Dimensions"]:
            assert dimension["Value"] in there(stack)[dimension["Name"]], name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold", name
        assert ("Statistic" in alarm) != ("ExtendedStatistic" in alarm), name
        assert alarm["AlarmDescription"], name


def test_one_failed_try_alone_is_no_alarm(stack: Stack) -> None:
    assert stack["QueueAgeAlarm"]["Threshold"] == 2 * stack["EventQueue"]["VisibilityTimeout"]
    assert stack["ProcessingTimeAlarm"]["Threshold"] == stack["ImageProcessingFunction"]["Timeout"] * 1000 / 2


def test_one_picture_that_breaks_its_decoder_is_no_alarm_and_five_in_an_hour_are(
    build_stack: Callable[..., Stack],
) -> None:
    """Every uploader can send an image that takes too long. Faults of the service repeat with every image."""
    alarm = build_stack("second")["FaultsAlarm"]
    assert (alarm["Statistic"], alarm["Period"] * alarm["EvaluationPeriods"], alarm["Threshold"]) == ("Sum", 3600, 5)
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "second"}]
    assert alarm["MetricName"] in METRICS


def test_alarms_go_to_an_address_if_there_is_one(build_stack: Callable[..., Stack]) -> None:
    told = build_stack(**ALL)
    assert told["AlarmTopic"]["Subscription"] == [{"Protocol": "email", "Endpoint": "ops@example.org"}]
    for alarm in told.of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [told.arn("AlarmTopic")]
    quiet = build_stack()
    assert "AlarmTopic" not in quiet.resources
    assert not any("AlarmActions" in alarm for alarm in quiet.of_type("AWS::CloudWatch::Alarm").values())


def test_every_log_is_kept_for_a_while(build_stack: Callable[..., Stack]) -> None:
    groups = build_stack(LogRetentionDays="7").of_type("AWS::Logs::LogGroup")
    assert len(groups) == 4
    assert {group["RetentionInDays"] for group in groups.values()} == {"7"}


def widgets(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stack["Dashboard"]["DashboardBody"])["widgets"]
    return found


def test_the_dashboard_answers_three_questions(any_stack: Stack) -> None:
    titles = " ".join(widget["properties"]["title"] for widget in widgets(any_stack))
    for question in ("Is it working?", "How fast?", "What does it cost?"):
        assert question in titles


def test_it_shows_every_alarm(any_stack: Stack) -> None:
    (shown,) = (widget["properties"]["alarms"] for widget in widgets(any_stack) if widget["type"] == "alarm")
    assert sorted(shown) == sorted(any_stack.arn(name) for name in any_stack.of_type("AWS::CloudWatch::Alarm"))


def test_its_metrics_are_of_what_is_there(any_stack: Stack) -> None:
    names = there(any_stack)
    assert len(rows(any_stack)) > 20
    for plain in rows(any_stack):
        for name, value in zip(plain[2::2], plain[3::2], strict=True):
            assert value in names[name], plain


def rows(stack: Stack) -> list[list[str]]:
    """Every metric that it draws: namespace, name, and the dimensions' names and values, nothing abbreviated."""
    found: list[list[str]] = []
    for widget in widgets(stack):
        before: list[str] = []
        for row in widget["properties"].get("metrics", []):
            cells = [cell for cell in row if isinstance(cell, str)]
            if cells[:1] == ["..."]:  # all but what follows is as before
                cells = before[: len(before) - len(cells) + 1] + cells[1:]
            before = [before[at] if cell == "." else cell for at, cell in enumerate(cells)]
            found.append(before)
    return found


def test_it_draws_all_that_the_functions_count(any_stack: Stack) -> None:
    ours = [row for row in rows(any_stack) if row[:1] == [NAMESPACE]]
    alarms = any_stack.of_type("AWS::CloudWatch::Alarm").values()  # of which the dashboard draws what they look at
    alarmed = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == NAMESPACE}
    of_webhooks = {"DeadDeliveries"} if "WebhookFunction" in any_stack.functions() else set()
    assert {row[1] for row in ours} | alarmed == METRICS | of_webhooks
    counted = set(FailureCode) - {FailureCode.ORIGINAL_MISSING}  # reconcile finds it, which counts nothing
    assert sorted(row[5] for row in ours if "code" in row) == sorted(counted)
    assert {row[3] for row in ours} == {"darkroom"}
    assert len({any_stack.environment(name)["DARKROOM_SERVICE"] for name in any_stack.functions()}) == 1
    for widget in widgets(any_stack):
        if "by phase" in widget["properties"]["title"]:
            assert {row[-1]["stat"] for row in widget["properties"]["metrics"]} == {"p50", "p95"}


def test_two_stacks_are_counted_apart(build_stack: Callable[..., Stack]) -> None:
    assert {row[3] for row in rows(build_stack("second")) if row[:1] == [NAMESPACE]} == {"second"}


def test_stored_bytes_are_charted_for_every_tier_over_days(form: dict[str, Any], any_stack: Stack) -> None:
    """S3 counts once a day, and a day late: in the dashboard's 24 hours there may be nothing."""
    assert form["Parameters"]["OriginalsTier"]["AllowedValues"] == list(STORED_AS)
    drawn = {row[-1] for row in rows(any_stack) if row[1:2] == ["BucketSizeBytes"]}
    assert drawn == {kind for kinds in STORED_AS.values() for kind in kinds}
    for widget in widgets(any_stack):
        if widget["properties"].get("period") == 86_400:
            assert widget["properties"]["start"] == "-P14D"


def test_the_costs_that_it_leaves_out_are_named(any_stack: Stack) -> None:
    (widget,) = (one for one in widgets(any_stack) if "What does it cost?" in one["properties"]["title"])
    drawn = {row[0].removeprefix("AWS/") for row in widget["properties"]["metrics"] if isinstance(row[0], str)}
    assert drawn == {"Lambda", "ApiGateway", "DynamoDB"}
    for missing in ("S3", "queue", "logs", "alarms", "CDN", "transfer", "free tier"):
        assert missing in widget["properties"]["title"].partition(" without ")[2]


def test_it_is_one_of_those_that_cost_nothing(any_stack: Stack) -> None:
    """The first three dashboards of an account are free, with up to 50 metrics each."""
    assert len({tuple(row) for row in rows(any_stack) if row}) <= 50


def test_its_sums_use_what_they_define(any_stack: Stack) -> None:
    for widget in widgets(any_stack):
        options = [row[-1] for row in widget["properties"].get("metrics", []) if isinstance(row[-1], dict)]
        ids = {option["id"] for option in options if "id" in option}
        used = {word for option in options for word in re.findall(r"\b[a-z]+\b", option.get("expression", ""))}
        assert used == ids


def test_widgets_do_not_overlap(stack: Stack) -> None:
    cells = [
        (x, y)
        for widget in widgets(stack)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize(("architecture", "price"), [("x86_64", "0.0000166667"), ("arm64", "0.0000133334")])
def test_its_prices_follow_the_functions(build_stack: Callable[..., Stack], architecture: str, price: str) -> None:
    stack = build_stack(Architecture=architecture)
    body = stack["Dashboard"]["DashboardBody"]
    for function in ("ImageApiFunction", "ImageProcessingFunction"):
        gigabytes = stack[function]["MemorySize"] / 1024
        shown = {float(size) for size in re.findall(rf"/ 1000 \* ([0-9.]+) \* {price}", body)}
        assert any(abs(size - gigabytes) < 0.001 for size in shown)
