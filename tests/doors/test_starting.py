"""What keeps a function from starting says which setting it is, at once."""

import time
from pathlib import Path

import pytest

from app.domain.errors import ConfigurationError
from tests.doors.opened import opened

GOOD = {
    "AWS_ACCESS_KEY_ID": "AKIDLOCAL1",
    "AWS_SECRET_ACCESS_KEY": "secretsecret",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "DARKROOM_STORAGE_URL": "s3://pictures",
    "DARKROOM_METADATA_URL": "dynamodb://ImageMetadata",
    "DARKROOM_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/pictures",
    "DARKROOM_SECRET": "a secret of the tests",
    "DARKROOM_ALLOW_ANONYMOUS": "true",
}
EMBEDDED = {"DARKROOM_STORAGE_URL": "file:./data", "DARKROOM_METADATA_URL": "sqlite:./data/darkroom.db"}


@pytest.mark.parametrize("door", ["app.lambda_api", "app.lambda_worker", "app.lambda_reconcile"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"DARKROOM_STORAGE_URL": None, "DARKROOM_METADATA_URL": None}, "DARKROOM_STORAGE_URL"),
        (EMBEDDED, "DARKROOM_STORAGE_URL"),
        ({"DARKROOM_METADATA_URL": "sqlite:x.db"}, "DARKROOM_METADATA_URL"),
        ({"DARKROOM_QUEUE_URL": None}, "DARKROOM_QUEUE_URL"),
        ({"DARKROOM_SECRET": None}, "DARKROOM_SECRET"),
        ({"DARKROOM_SECRET": "short"}, "DARKROOM_SECRET"),
        ({"DARKROOM_MAX_PIXELS": "many"}, "DARKROOM_MAX_PIXELS"),
        ({"DARKROOM_TYPO": "1"}, "DARKROOM_TYPO"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(door: str, change: dict[str, str | None], named: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=named), opened(door, environment, tmp_path):
        pass
    assert time.monotonic() - started < 5
    assert list(tmp_path.iterdir()) == []


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
    with opened("app.lambda_worker", environment, tmp_path) as door:
        assert door.handler({}, None) == {"batchItemFailures": []}
