"""A bucket and a table at real engines, and the two functions."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import aws
from tests.engines import INSTALLED
from tests.lambda_runtime.function import EMULATOR, Function, can_hide_shm, function
from tests.lambda_runtime.relay import Relay, relay_to
from tests.running_server import free_port


@dataclass(frozen=True)
class Place:
    """Stores of the functions. Objects are reached through a relay."""

    made: aws.Clients
    bucket: str
    table: str
    objects: Relay

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.objects.url,
            "AWS_ENDPOINT_URL_DYNAMODB": self.made.dynamodb.meta.endpoint_url,
            "DARKROOM_STORAGE_URL": f"s3://{self.bucket}",
            "DARKROOM_DATABASE_URL": f"dynamodb://{self.table}",
            # Only asked whether it is there: the events come from the test.
            "DARKROOM_QUEUE_URL": f"http://127.0.0.1:{free_port()}/123456789012/pictures",
            "DARKROOM_SECRET": "a secret of the tests",
            "DARKROOM_ALLOW_ANONYMOUS": "true",
        }


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    if not (EMULATOR.exists() and all((INSTALLED / name / "bin" / "python").exists() for name in ("api", "worker"))):
        pytest.skip("Lambda's emulator is not installed: see `make engines`")
    made = aws.engines()
    with (
        aws.bucket(made.s3) as bucket,
        aws.table(made.dynamodb) as table,
        relay_to(made.s3.meta.endpoint_url) as objects,
    ):
        yield Place(made, bucket, table, objects)


@pytest.fixture(scope="module")
def api(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    with function("api", place.environment, tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def worker_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Short enough for a socket's path, as `/tmp` is on Lambda."""
    folder = tmp_path_factory.mktemp("worker")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def worker(place: Place, worker_folder: Path) -> Iterator[Function]:
    """The worker without a `/dev/shm` that can be written, where a process of ours may have its own."""
    with function("worker", place.environment, worker_folder, hide_shm=can_hide_shm()) as running:
        yield running
