"""Fixtures of tests of DynamoDB and SQLite, and those that tests of adapters share with tests of faults."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.sqlite import Database
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


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Empty database."""
    opened = Database(tmp_path / "darkroom.db")
    yield opened
    opened.close()
