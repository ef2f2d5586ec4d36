"""The service under test, on each side there is.

A test that takes `service` runs on every side: embedded, and behind API Gateway and Lambda's door on AWS. What takes
`embedded` has no counterpart there: `/files/`, a body that stops coming, has no length or a false one (the gateway
reads it to its end and counts it). Nor has what `test_sockets.py` does with real sockets.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.service import Service, service_on
from tests.sides import side_parameters


@pytest.fixture(params=side_parameters())
def side_name(request: pytest.FixtureRequest) -> str:
    """Each side by its name."""
    return str(request.param)


@pytest.fixture
def service(side_name: str, tmp_path: Path) -> Iterator[Service]:
    """The API in this process, over real adapters."""
    with service_on(side_name, tmp_path) as service:
        yield service


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Service]:
    """The side that serves files itself."""
    with service_on("embedded", tmp_path) as service:
        yield service
