"""Settings that ask for an encoder that is not installed."""

import json

import pytest

from app.bootstrap_worker import start_sandbox
from app.domain.configuration import encoders
from app.domain.errors import ConfigurationError
from app.settings import load

RECIPE = json.dumps({"variants": [{"name": "w640", "width": 640, "formats": ["jxl", "webp"]}]})
AWS = {
    "DARKROOM_STORAGE_URL": "s3://images",
    "DARKROOM_DATABASE_URL": "dynamodb://Records",
    "DARKROOM_QUEUE_URL": "https://sqs.example.org/1/q",
    "DARKROOM_ALLOW_ANONYMOUS": "true",
}
ASKING = [{"DARKROOM_RECIPE": RECIPE}, {"DARKROOM_ON_DEMAND_JXL": "true"}]


@pytest.fixture
def no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "JXL_PACKAGE", "no_such_package")


@pytest.mark.parametrize("asking", ASKING, ids=lambda asking: next(iter(asking)))
def test_a_server_does_not_start_without_its_encoder(no_encoder: None, asking: dict[str, str]) -> None:
    (name,) = asking
    with pytest.raises(ConfigurationError, match=f"{name}: JPEG XL needs the package no_such_package.*make jxl"):
        load(asking)
    assert load({}).recipe


@pytest.mark.parametrize("asking", ASKING, ids=lambda asking: next(iter(asking)))
def test_on_aws_only_functions_that_encode_need_it(no_encoder: None, asking: dict[str, str]) -> None:
    settings = load(AWS | asking)
    with pytest.raises(ConfigurationError, match="JPEG XL needs the package"):
        start_sandbox(settings)


@pytest.mark.parametrize("asking", ASKING, ids=lambda asking: next(iter(asking)))
def test_with_the_encoder_they_are_fine(asking: dict[str, str]) -> None:
    assert encoders.asks_for_jxl(load(asking))
    assert not encoders.asks_for_jxl(load({}))
