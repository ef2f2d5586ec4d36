"""The functions' variables are settings of the application, and enough of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.settings import PREFIX, Settings, load
from tests.repository.tree import ROOT
from tests.template.conftest import ALL
from tests.template.reading import SECRET, Stack
from tests.template.rights import statements

FUNCTIONS = ("ImageApiFunction", "ImageProcessingFunction", "ReconcileFunction")
#: Settings that a stack leaves at their defaults.
LEFT_OUT = {"max_pixels", "max_frames", "accepted_types", "recipe"}


def read(stack: Stack, function: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in stack.environment(function).items():
        monkeypatch.setenv(name, value)
    return load()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_they_are_settings_that_work(any_stack: Stack, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(any_stack, function, monkeypatch)
    assert settings.auth == "required"
    assert len(settings.api_keys) == 2
    assert settings.allow_anonymous is False
    assert settings.bucket == any_stack["ImageBucket"]["BucketName"]
    assert settings.table == any_stack["ImageMetadata"]["TableName"]
    assert settings.queue_url == any_stack.outputs["Queue"]
    assert settings.public_url == any_stack.outputs["ApiUrl"]
    assert settings.cdn_url == any_stack.outputs.get("CdnUrl")
    assert settings.secret is not None
    assert settings.secret.get_secret_value() == SECRET


def test_every_setting_is_set_or_left_out_on_purpose(stack_of: Callable[..., Stack]) -> None:
    variables = {name.removeprefix(PREFIX).lower() for name in stack_of(**ALL).environment("ImageApiFunction")}
    assert variables == Settings.model_fields.keys() - LEFT_OUT


def test_anonymous_is_a_choice(stack_of: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(stack_of(ApiKeys="", AllowAnonymous="true"), "ImageApiFunction", monkeypatch)
    assert (settings.auth, settings.allow_anonymous, settings.api_keys) == ("none", True, ())


def test_the_parameters_reach_the_settings(stack_of: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_of(AllowedOrigins="https://a.example,https://b.example:8443", MaxUploadBytes="7000", LogLevel="ERROR")
    settings = read(stack, "ImageApiFunction", monkeypatch)
    assert settings.cors_origins == ("https://a.example", "https://b.example:8443")
    assert (settings.max_upload_bytes, settings.log_level) == (7000, "ERROR")


def test_they_fit_into_the_four_kilobytes_that_lambda_takes(
    form: dict[str, Any], stack_of: Callable[..., Stack]
) -> None:
    longest = {name: "x" * int(form["Parameters"][name]["MaxLength"]) for name in ("ApiKeys", "AllowedOrigins")}
    stack = stack_of("a-stack-with-a-name-of-fifty-characters-about-12345", **(ALL | longest))
    assert sum(len(name) + len(value) for name, value in stack.environment("ImageApiFunction").items()) <= 4096


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_secret_is_generated_and_read_at_deployment_alone(
    form: dict[str, Any], stack: Stack, function: str
) -> None:
    written = json.dumps(form["Resources"])
    assert written.count("resolve:secretsmanager") == (1 if "Globals" in form else len(FUNCTIONS))
    raw = stack[function]["Environment"]["Variables"]["DARKROOM_SECRET"]
    assert raw == "{{resolve:secretsmanager:" + stack.arn("SigningSecret") + ":SecretString}}"
    assert stack["SigningSecret"]["GenerateSecretString"]["PasswordLength"] >= 32
    assert not any("secretsmanager" in str(statement) for statement in statements(stack, function))


def test_the_functions_know_nothing_else(stack: Stack) -> None:
    assert {
        name for function in FUNCTIONS for name in stack.environment(function) if not name.startswith(PREFIX)
    } == set()
    assert (ROOT / "app" / "lambda_reconcile.py").exists()
