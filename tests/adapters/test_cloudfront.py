"""Invalidations of CloudFront: paths, quotas and errors."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from app.adapters.cloudfront import CloudFront
from app.domain.errors import Unavailable
from app.domain.ids import new_id
from tests.engines import ACCESS_KEY, SECRET_KEY

pytestmark = pytest.mark.moto


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.session.Session(ACCESS_KEY, SECRET_KEY).client("cloudfront", region_name="eu-west-1")


@pytest.fixture
def distribution(client: Any) -> str:
    origin = {"Id": "bucket", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    config = {
        "CallerReference": new_id(),
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "bucket", "ViewerProtocolPolicy": "https-only"},
    }
    identifier: str = client.create_distribution(DistributionConfig=config)["Distribution"]["Id"]
    return identifier


def batches(client: Any, distribution: str) -> list[dict[str, Any]]:
    """Invalidations of the distribution, in any order."""
    found = client.list_invalidations(DistributionId=distribution)["InvalidationList"].get("Items", [])
    return [
        client.get_invalidation(DistributionId=distribution, Id=item["Id"])["Invalidation"]["InvalidationBatch"]
        for item in found
    ]


def test_each_image_is_one_path(client: Any, distribution: str) -> None:
    ids = sorted(new_id() for _ in range(15))
    assert CloudFront(client, distribution).invalidate([*ids, ids[0]])
    (batch,) = batches(client, distribution)
    paths = [f"/processed/public/{image_id}/*" for image_id in ids]
    assert batch["Paths"] == {"Quantity": 15, "Items": paths}


def test_sizes_are_invalidated_by_their_keys_and_by_what_viewers_ask_for(client: Any, distribution: str) -> None:
    one, *others = (new_id() for _ in range(6))
    cdn = CloudFront(client, distribution, sizes=True)
    assert cdn.invalidate([one])
    (batch,) = batches(client, distribution)
    assert batch["Paths"]["Items"] == [f"/processed/public/{one}/*", f"/ondemand/{one}/*", f"/i/{one}*"]
    assert cdn.invalidate([one, *others])
    everything = ["/processed/public/*", "/ondemand/*", "/i/*"]
    assert everything in [batch["Paths"]["Items"] for batch in batches(client, distribution)]


def test_more_images_than_the_quota_are_one_path(client: Any, distribution: str) -> None:
    assert CloudFront(client, distribution).invalidate([new_id() for _ in range(16)])
    (batch,) = batches(client, distribution)
    assert batch["Paths"] == {"Quantity": 1, "Items": ["/processed/public/*"]}


def test_the_same_image_again_is_another_invalidation(client: Any, distribution: str) -> None:
    cdn = CloudFront(client, distribution)
    image_id = new_id()
    assert cdn.invalidate([image_id])
    assert cdn.invalidate({image_id})
    first, second = batches(client, distribution)
    assert first["CallerReference"] != second["CallerReference"]
    assert first["Paths"] == second["Paths"]


def test_no_image_is_no_call(client: Any, distribution: str) -> None:
    assert CloudFront(client, distribution).invalidate([])
    assert batches(client, distribution) == []


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def create_invalidation(self, **_: Any) -> None:
        raise self._error


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "injected"}}, "CreateInvalidation")


@pytest.mark.parametrize("code", ["TooManyInvalidationsInProgress", "Throttling"])
def test_a_busy_distribution_is_told_from_an_error(code: str) -> None:
    assert not CloudFront(Failing(refusal(code)), "E1").invalidate([new_id()])


@pytest.mark.parametrize("error", [refusal("AccessDenied"), ReadTimeoutError(endpoint_url="https://cdn.invalid")])
def test_any_other_failure_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable):
        CloudFront(Failing(error), "E1").invalidate([new_id()])


def test_an_unknown_distribution_is_unavailable(client: Any, distribution: str) -> None:
    with pytest.raises(Unavailable):
        CloudFront(client, f"{distribution}X").invalidate([new_id()])
