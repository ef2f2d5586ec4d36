"""Fixtures of tests of the DynamoDB adapter, and those that tests of adapters share with those of faults."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.adapters.dynamodb import DynamoImages
from tests import aws
from tests.faults.conftest import hurried

__all__ = ["hurried"]


@pytest.fixture(params=["moto", pytest.param("engines", marks=pytest.mark.engines)])
def client(request: pytest.FixtureRequest) -> Any:
    """Client of moto, or of DynamoDB Local."""
    return getattr(aws, request.param)().dynamodb


@pytest.fixture
def table(client: Any) -> Iterator[str]:
    """Name of a new table."""
    with aws.table(client) as name:
        yield name


@pytest.fixture
def images(client: Any, table: str) -> DynamoImages:
    """Records in that table."""
    return DynamoImages(client, table)
