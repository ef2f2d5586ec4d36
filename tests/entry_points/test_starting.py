"""A function that cannot start names the setting at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError
from tests.entry_points.opened import opened
from tests.repository.tree import ROOT
from tests.tiers import smoke

GOOD = {
    "AWS_ACCESS_KEY_ID": "AKIDLOCAL1",
    "AWS_SECRET_ACCESS_KEY": "secretsecret",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "DARKROOM_STORAGE_URL": "s3://pictures",
    "DARKROOM_DATABASE_URL": "dynamodb://ImageMetadata",
    "DARKROOM_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/pictures",
    "DARKROOM_SECRET": "a secret of the tests",
    "DARKROOM_ALLOW_ANONYMOUS": "true",
}
EMBEDDED = {"DARKROOM_STORAGE_URL": "file:./data", "DARKROOM_DATABASE_URL": "sqlite:./data/darkroom.db"}


@pytest.mark.parametrize(
    "entry_point", ["app.lambda_api", "app.lambda_worker", "app.lambda_reconcile", "app.lambda_render"]
)
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"DARKROOM_STORAGE_URL": None, "DARKROOM_DATABASE_URL": None}, "DARKROOM_STORAGE_URL"),
        (EMBEDDED, "DARKROOM_STORAGE_URL"),
        ({"DARKROOM_DATABASE_URL": "sqlite:x.db"}, "DARKROOM_DATABASE_URL"),
        ({"DARKROOM_QUEUE_URL": None}, "DARKROOM_QUEUE_URL"),
        ({"DARKROOM_SECRET": "short"}, "DARKROOM_SECRET"),
        ({"DARKROOM_MAX_PIXELS": "many"}, "DARKROOM_MAX_PIXELS"),
        ({"DARKROOM_TYPO": "1"}, "DARKROOM_TYPO"),
        ({"DARKROOM_WEBHOOK_QUEUE_URL": "webhooks"}, "DARKROOM_WEBHOOK_QUEUE_URL"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(entry_point: str, change: dict[str, str | None], named: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(ConfigurationError, match=named), opened(entry_point, environment, tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_sender_needs_its_queue(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="DARKROOM_WEBHOOK_QUEUE_URL: must be set"),
        opened("app.lambda_webhooks", GOOD, tmp_path),
    ):
        pass


#: Starts every entry point and prints how each ends, in a process without moto, which would provide credentials.
OPEN_ALL = """
import importlib, json
ends = {}
for entry_point in ("app.lambda_api", "app.lambda_worker", "app.lambda_reconcile", "app.lambda_render", "app.main"):
    try:
        module = importlib.import_module(entry_point)
        if entry_point == "app.main":
            module.main()
    except (SystemExit, Exception) as error:
        ends[entry_point] = (type(error).__name__, str(error))
print(json.dumps(ends))
"""


@pytest.mark.parametrize(
    ("change", "said"),
    smoke(
        [
            ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "Unable to locate credentials"),
            ({"AWS_SECRET_ACCESS_KEY": None}, "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY"),
            ({"AWS_DEFAULT_REGION": None}, "You must specify a region."),
            ({"AWS_ENDPOINT_URL_S3": "somewhere"}, "Invalid endpoint: somewhere"),
        ]
    ),
    ids=str,
)
def test_a_missing_option_of_the_sdk_is_one_sentence(change: dict[str, str | None], said: str, tmp_path: Path) -> None:
    nowhere = {name: str(tmp_path / "none") for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")}
    given = {
        **GOOD,
        **nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DARKROOM_PORT": "0",
        "PATH": os.environ["PATH"],
        **change,
    }
    environment = {name: value for name, value in given.items() if value is not None}
    run = subprocess.run(
        [sys.executable, "-c", OPEN_ALL], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    sentence = f"DARKROOM_STORAGE_URL: s3://pictures needs AWS credentials and a region (SDK: {said})"
    ends = {entry_point: tuple(end) for entry_point, end in json.loads(run.stdout).items()}
    functions = dict.fromkeys(
        ("app.lambda_api", "app.lambda_worker", "app.lambda_reconcile", "app.lambda_render"), "ConfigurationError"
    )
    assert ends.pop("app.main") == ("SystemExit", "2")
    assert run.stderr.splitlines()[-1] == sentence
    assert ends == {entry_point: (kind, sentence) for entry_point, kind in functions.items()}


def test_only_who_answers_callers_needs_the_secret(tmp_path: Path) -> None:
    environment = {name: value for name, value in GOOD.items() if name != "DARKROOM_SECRET"}
    with (
        pytest.raises(ConfigurationError, match="DARKROOM_SECRET: must be set"),
        opened("app.lambda_api", environment, tmp_path),
    ):
        pass
    for entry_point in ("app.lambda_worker", "app.lambda_reconcile", "app.lambda_render"):
        with opened(entry_point, environment, tmp_path) as started:
            assert callable(started.handler)


def test_a_service_that_asks_for_keys_starts_without_one(tmp_path: Path) -> None:
    """Its keys are in the store."""
    environment = GOOD | {"DARKROOM_AUTH": "required", "DARKROOM_ALLOW_ANONYMOUS": "false"}
    with opened("app.lambda_api", environment, tmp_path) as started:
        assert callable(started.handler)


@pytest.mark.parametrize("consent", [None, "false"])
def test_an_api_that_anybody_may_use_needs_consent_and_a_worker_does_not(consent: str | None, tmp_path: Path) -> None:
    environment = {**GOOD, "DARKROOM_ALLOW_ANONYMOUS": consent or ""}
    if consent is None:
        del environment["DARKROOM_ALLOW_ANONYMOUS"]
    with (
        pytest.raises(ConfigurationError, match="DARKROOM_ALLOW_ANONYMOUS"),
        opened("app.lambda_api", environment, tmp_path),
    ):
        pass
    with opened("app.lambda_worker", environment, tmp_path) as entry_point:
        assert entry_point.handler({}, None) == {"batchItemFailures": []}
