"""The built images, a bucket and a table at real engines, and both functions in containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import aws
from tests.images_built.podman import BASE, IMAGES, Container, container, missing, mounted
from tests.lambda_runtime.conftest import Place
from tests.lambda_runtime.relay import relay_to


@pytest.fixture(scope="session")
def built() -> None:
    why = missing()
    if why:
        pytest.skip(why)


@pytest.fixture(scope="session")
def base(built: None) -> Iterator[Path]:
    """The files of the stand-in base."""
    with mounted(BASE) as root:
        yield root


@pytest.fixture(scope="session")
def roots(built: None) -> Iterator[dict[str, Path]]:
    """The files of both images."""
    with mounted(IMAGES["api"]) as api, mounted(IMAGES["worker"]) as worker:
        yield {"api": api, "worker": worker}


@pytest.fixture(scope="module")
def place(built: None) -> Iterator[Place]:
    made = aws.engines()
    with (
        aws.bucket(made.s3) as bucket,
        aws.table(made.dynamodb) as table,
        relay_to(made.s3.meta.endpoint_url) as objects,
    ):
        yield Place(made, bucket, table, objects)


@pytest.fixture(scope="module")
def api(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with container("api", place.environment, tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def worker(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with container("worker", place.environment, tmp_path_factory.mktemp("worker")) as running:
        yield running
