"""The functions' variables are settings of the application, and enough of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.configuration.complaints import PREFIX
from app.domain.models import Visibility
from app.settings import Settings, load
from tests.entry_points.opened import opened
from tests.template.conftest import ALL, KEYS
from tests.template.reading import SECRET, Stack
from tests.template.rights import statements

API, WORKER, RECONCILE = "ImageApiFunction", "ImageProcessingFunction", "ReconcileFunction"
RENDER, WEBHOOKS = "RenderFunction", "WebhookFunction"
ENTRY_POINTS = {API: "app.lambda_api", WORKER: "app.lambda_worker", RECONCILE: "app.lambda_reconcile"}
#: Variables of every function, and additional ones of each: only those that its entry point uses.
EVERYBODYS = {"storage_url", "database_url", "queue_url", "log_level", "service"}
#: Variables of the functions that write records, where webhooks are on.
EVENTS = ("webhook_queue_url", "public_url")
TOLD = {
    API: EVERYBODYS | {
        "auth", "allow_anonymous", "api_keys", "cors_origins", "fetch_hosts", "default_visibility", "cdn_url",
        "cdn_distribution", "secret", "previous_secret", "signed_url_seconds", "max_upload_bytes", "max_open_tickets",
        "trash_days", "on_demand", "on_demand_widths", "on_demand_ratios", "on_demand_jxl", "render_function",
        "quota_bytes", "quota_images", "rate_limit", *EVENTS,
    },
    WORKER: EVERYBODYS | {
        "auth", "max_upload_bytes", "processing_timeout_seconds", "processing_memory_mb", "max_attempts", *EVENTS,
    },
    RECONCILE: EVERYBODYS | {"cdn_url", "cdn_distribution", "on_demand", *EVENTS},
    WEBHOOKS: EVERYBODYS | {"secret", "previous_secret", "webhook_queue_url"},
    RENDER: EVERYBODYS | {
        "on_demand", "on_demand_widths", "on_demand_ratios", "on_demand_jxl", "max_upload_bytes",
        "processing_timeout_seconds", "processing_memory_mb",
    },
}  # fmt: skip
#: Parameters of any text.
FREE = ("ApiKeys", "AllowedOrigins", "FetchHosts", "PreviousSigningSecret")
#: Settings that a stack leaves at their defaults.
LEFT_OUT = {
    "max_pixels", "max_frames", "accepted_types", "recipe", "host", "port", "allowed_hosts",
    "trusted_proxies", "log_format", "min_free_mb", "max_spool_mb", "max_waiting",
    "workers", "memory_budget_mb", "max_json_bytes", "metrics_host", "metrics_port",
    "allow_private_addresses",
}  # fmt: skip


def read(stack: Stack, function: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in stack.environment(function).items():
        monkeypatch.setenv(name, value)
    return load()


@pytest.mark.parametrize("function", ENTRY_POINTS)
def test_a_function_is_told_what_it_needs_and_no_more(any_stack: Stack, function: str) -> None:
    absent = set() if "CdnUrl" in any_stack.outputs else {"cdn_url", "cdn_distribution"}
    absent |= set() if RENDER in any_stack.functions() else {"render_function"}
    absent |= set() if WEBHOOKS in any_stack.functions() else set(EVENTS)
    assert set(any_stack.environment(function)) == {f"{PREFIX}{name.upper()}" for name in TOLD[function] - absent}


@pytest.mark.parametrize("function", ENTRY_POINTS)
def test_its_entry_point_starts_with_them(any_stack: Stack, function: str, tmp_path: Path) -> None:
    runtimes = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "eu-west-1"}
    with opened(ENTRY_POINTS[function], runtimes | any_stack.environment(function), tmp_path) as entry_point:
        assert callable(entry_point.handler)


@pytest.mark.parametrize("function", ENTRY_POINTS)
def test_each_is_told_of_the_same_place(any_stack: Stack, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(any_stack, function, monkeypatch)
    assert settings.bucket == any_stack["ImageBucket"]["BucketName"]
    assert settings.table == any_stack["ImageMetadata"]["TableName"]
    assert settings.access_table == any_stack["Access"]["TableName"]
    assert settings.queue_url == any_stack.outputs["Queue"]
    assert settings.service == "darkroom"


def test_the_api_knows_who_may_and_where_variants_are(any_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(any_stack, API, monkeypatch)
    assert settings.auth == "required"
    assert len(settings.api_keys) == 2
    assert settings.allow_anonymous is False
    assert settings.cdn_url == any_stack.outputs.get("CdnUrl")
    assert (settings.cdn_distribution is None) is (settings.cdn_url is None)
    assert settings.secret is not None
    assert settings.secret.get_secret_value() == SECRET


def test_the_api_knows_the_days_of_the_trash(
    build_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(build_stack(ApiKeys=KEYS, TrashDays="30"), API, monkeypatch).trash_days == 30


def test_every_setting_is_set_or_left_out_on_purpose(build_stack: Callable[..., Stack]) -> None:
    stack = build_stack(**ALL)
    variables = {name.removeprefix(PREFIX).lower() for function in ENTRY_POINTS for name in stack.environment(function)}
    assert variables == Settings.model_fields.keys() - LEFT_OUT


def test_anonymous_is_a_choice(build_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch) -> None:
    stack = build_stack(ApiKeys="", AllowAnonymous="true")
    settings = read(stack, API, monkeypatch)
    assert (settings.auth, settings.allow_anonymous, settings.api_keys) == ("none", True, ())


@pytest.mark.parametrize(
    ("given", "auth"), [({"ApiKeys": "", "AllowAnonymous": "true"}, "none"), ({"ApiKeys": KEYS}, "required")]
)
def test_the_worker_knows_whether_objects_without_a_record_are_anybodys(
    build_stack: Callable[..., Stack], given: dict[str, str], auth: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(build_stack(**given), WORKER, monkeypatch).auth == auth


def test_the_parameters_reach_the_settings(build_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch) -> None:
    stack = build_stack(
        AllowedOrigins="https://a.example,https://b.example:8443", FetchHosts="*.example.org,img.example",
        MaxUploadBytes="7000", MaxOpenTickets="7", RateLimit="0.5",
        LogLevel="ERROR", DefaultVisibility="public", SignedUrlSeconds="7200", PreviousSigningSecret="o" * 64,
    )  # fmt: skip
    settings = read(stack, API, monkeypatch)
    assert (settings.visibility, settings.signed_url_seconds) == (Visibility.PUBLIC, 7200)
    assert settings.previous_secret is not None
    assert settings.previous_secret.get_secret_value() == "o" * 64
    assert settings.cors_origins == ("https://a.example", "https://b.example:8443")
    assert settings.fetch_hosts == ("*.example.org", "img.example")
    assert (settings.max_upload_bytes, settings.max_open_tickets, settings.log_level) == (7000, 7, "ERROR")
    assert settings.rate_limit == 0.5
    assert stack.environment(WORKER)["DARKROOM_MAX_UPLOAD_BYTES"] == "7000"
    assert {stack.environment(function)["DARKROOM_LOG_LEVEL"] for function in ENTRY_POINTS} == {"ERROR"}


@pytest.mark.parametrize(
    ("key", "visibility"), [({"ApiKeys": KEYS}, "private"), ({"AllowAnonymous": "true"}, "public")]
)
def test_new_images_are_private_with_keys_and_public_without(
    build_stack: Callable[..., Stack], key: dict[str, str], visibility: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(build_stack(**key), API, monkeypatch).visibility == visibility


def test_they_fit_into_the_four_kilobytes_that_lambda_takes(
    form: dict[str, Any], build_stack: Callable[..., Stack]
) -> None:
    longest = {name: "x" * int(form["Parameters"][name]["MaxLength"]) for name in FREE}
    stack = build_stack("a-stack-with-a-name-of-fifty-characters-about-12345", **(ALL | longest))
    assert sum(len(name) + len(value) for name, value in stack.environment(API).items()) <= 4096


def test_the_secret_is_generated_and_read_at_deployment_alone_and_by_those_who_sign(
    form: dict[str, Any], build_stack: Callable[..., Stack]
) -> None:
    stack = build_stack(**ALL)
    assert json.dumps(form["Resources"]).count("resolve:secretsmanager") == 2
    for function in (API, WEBHOOKS):
        raw = stack[function]["Environment"]["Variables"]["DARKROOM_SECRET"]
        assert raw == "{{resolve:secretsmanager:" + stack.arn("SigningSecret") + ":SecretString}}"
    assert stack["SigningSecret"]["GenerateSecretString"]["PasswordLength"] >= 32
    for function in ENTRY_POINTS:
        assert not any("secretsmanager" in str(statement) for statement in statements(stack, function))


@pytest.fixture
def with_sizes(build_stack: Callable[..., Stack]) -> Stack:
    return build_stack(**ALL)


def test_the_renderer_is_told_what_it_needs_and_starts(with_sizes: Stack, tmp_path: Path) -> None:
    environment = with_sizes.environment(RENDER)
    assert set(environment) == {f"{PREFIX}{name.upper()}" for name in TOLD[RENDER]}
    runtimes = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "eu-west-1"}
    with opened("app.lambda_render", runtimes | environment, tmp_path) as entry_point:
        assert callable(entry_point.handler)


def test_the_sender_is_told_what_it_needs_and_starts(with_sizes: Stack, tmp_path: Path) -> None:
    environment = with_sizes.environment(WEBHOOKS)
    assert set(environment) == {f"{PREFIX}{name.upper()}" for name in TOLD[WEBHOOKS]}
    runtimes = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "eu-west-1"}
    with opened("app.lambda_webhooks", runtimes | environment, tmp_path) as entry_point:
        assert callable(entry_point.handler)


def test_events_name_images_by_the_address_of_the_api(
    build_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    for parameters in ({}, {"DomainName": "img.example.org", "CertificateId": "0f2a4c6e"}):
        stack = build_stack(Webhooks="true", **parameters)
        for function in ENTRY_POINTS:
            settings = read(stack, function, monkeypatch)
            assert settings.public_url == stack.outputs["ApiUrl"]
            assert settings.webhook_queue_url == stack.outputs["WebhookQueueUrl"]


def test_api_and_renderer_agree_on_the_sizes(with_sizes: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for function in (API, RENDER):
        settings = read(with_sizes, function, monkeypatch)
        assert settings.on_demand_mode == "snap"
        assert settings.on_demand_widths == (320, 640, 1280)
        assert settings.on_demand_ratios == ("1:1", "16:9")
    assert with_sizes.environment(API)["DARKROOM_RENDER_FUNCTION"]


def test_the_default_sizes_of_a_stack_are_those_of_the_application(
    build_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read(build_stack(OnDemand="snap"), API, monkeypatch)
    assert settings.on_demand_widths == Settings.model_fields["on_demand_widths"].default
    assert settings.on_demand_ratios == Settings.model_fields["on_demand_ratios"].default
