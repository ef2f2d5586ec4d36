"""Fixtures of the service under test, on every set of backends.

A test that takes `service` runs self-hosted, and on AWS behind API Gateway and Lambda. Tests that take `self_hosted`
have no counterpart on AWS: `/files/`, and bodies that stall or have no or a wrong length, because the gateway reads the
body to its end and counts it. Neither do tests with real sockets (`test_sockets.py`).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.service import Service, service_on
from tests.sides import side_parameters


@pytest.fixture(params=side_parameters())
def side_name(request: pytest.FixtureRequest) -> str:
    """Name of the backends."""
    return str(request.param)


@pytest.fixture
def service(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """In-process API with real adapters."""
    with service_on(side_name, tmp_path) as service:
        yield service


@pytest.fixture
def self_hosted(tmp_path: Path) -> Iterator[Service]:
    """Self-hosted API, which serves files itself."""
    with service_on("self-hosted", tmp_path) as service:
        yield service
