"""Adapters under the contract suites of their ports.

A new adapter joins by one entry in its port's table: a name, and a function that opens it, empty, in a folder of its
own. Tests here speak through the port alone; what only one adapter has is tested in `tests/adapters`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.access.endpoints import DynamoEndpoints
from app.adapters.dynamodb.access.keys import DynamoKeys
from app.adapters.dynamodb.delivery.store import DynamoDeliveries
from app.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from app.adapters.filesystem import FilesystemStore
from app.adapters.s3 import S3Store
from app.adapters.sqlite import (
    Database,
    SqliteDeliveries,
    SqliteEndpoints,
    SqliteIdempotencyKeys,
    SqliteImages,
    SqliteKeys,
    SqliteQueue,
)
from app.adapters.sqs import SqsQueue
from app.domain.ports import EventQueue, ImageRepository, ObjectStore
from app.domain.ports.delivery_store import DeliveryStore
from app.domain.ports.endpoint_store import EndpointStore
from app.domain.ports.key_store import KeyStore
from app.domain.uploads.idempotency import IdempotencyKeys
from tests import aws


class OpenQueue(Protocol):
    """Opens an empty queue: `visibility` in whole seconds, `max_attempts` deliveries before the dead letters."""

    def __call__(self, *, visibility: int = 30, max_attempts: int = 5) -> EventQueue: ...


class Many(Protocol):
    """Return the number of records to seed instead of the given one."""

    def __call__(self, count: int) -> int: ...


@contextmanager
def filesystem(folder: Path) -> Iterator[ObjectStore]:
    yield FilesystemStore(folder / "data")


@contextmanager
def sqlite_images(folder: Path) -> Iterator[ImageRepository]:
    database = Database(folder / "darkroom.db")
    yield SqliteImages(database)
    database.close()


@contextmanager
def sqlite_keys(folder: Path) -> Iterator[IdempotencyKeys]:
    database = Database(folder / "darkroom.db")
    yield SqliteIdempotencyKeys(database)
    database.close()


@contextmanager
def keys_on_moto(_: Path) -> Iterator[IdempotencyKeys]:
    client = aws.moto().dynamodb
    with aws.table(client) as table:
        yield DynamoIdempotencyKeys(client, table)


@contextmanager
def keys_local(_: Path) -> Iterator[IdempotencyKeys]:
    client = aws.engines().dynamodb
    with aws.table(client) as table:
        yield DynamoIdempotencyKeys(client, table)


@contextmanager
def sqlite_key_store(folder: Path) -> Iterator[KeyStore]:
    database = Database(folder / "darkroom.db")
    yield SqliteKeys(database)
    database.close()


@contextmanager
def key_store_on_moto(_: Path) -> Iterator[KeyStore]:
    client = aws.moto().dynamodb
    with aws.access_table(client, uuid4().hex) as table:
        yield DynamoKeys(client, table)


@contextmanager
def key_store_local(_: Path) -> Iterator[KeyStore]:
    client = aws.engines().dynamodb
    with aws.access_table(client, uuid4().hex) as table:
        yield DynamoKeys(client, table)


@contextmanager
def sqlite_endpoints(folder: Path) -> Iterator[EndpointStore]:
    database = Database(folder / "darkroom.db")
    yield SqliteEndpoints(database)
    database.close()


@contextmanager
def endpoints_on_moto(_: Path) -> Iterator[EndpointStore]:
    client = aws.moto().dynamodb
    with aws.access_table(client, uuid4().hex) as table:
        yield DynamoEndpoints(client, table)


@contextmanager
def endpoints_local(_: Path) -> Iterator[EndpointStore]:
    client = aws.engines().dynamodb
    with aws.access_table(client, uuid4().hex) as table:
        yield DynamoEndpoints(client, table)


@contextmanager
def sqlite_deliveries(folder: Path) -> Iterator[DeliveryStore]:
    database = Database(folder / "darkroom.db")
    yield SqliteDeliveries(database)
    database.close()


@contextmanager
def deliveries_on_moto(_: Path) -> Iterator[DeliveryStore]:
    client = aws.moto().dynamodb
    with aws.table(client) as table:
        yield DynamoDeliveries(client, table)


@contextmanager
def deliveries_local(_: Path) -> Iterator[DeliveryStore]:
    client = aws.engines().dynamodb
    with aws.table(client) as table:
        yield DynamoDeliveries(client, table)


@contextmanager
def sqlite_queue(folder: Path, visibility: int, max_attempts: int) -> Iterator[EventQueue]:
    database = Database(folder / "darkroom.db")
    yield SqliteQueue(database, visibility, max_attempts)
    database.close()


@contextmanager
def s3_on_moto(_: Path) -> Iterator[ObjectStore]:
    client = aws.moto().s3
    with aws.bucket(client) as bucket:
        yield S3Store(client, bucket)


@contextmanager
def dynamodb_on_moto(_: Path) -> Iterator[ImageRepository]:
    client = aws.moto().dynamodb
    with aws.table(client) as table:
        yield DynamoImages(client, table)


@contextmanager
def sqs_on_moto(_: Path, visibility: int, max_attempts: int) -> Iterator[EventQueue]:
    client = aws.moto().sqs
    with aws.queue(client, visibility, max_attempts) as url:
        yield SqsQueue(client, url)


@contextmanager
def seaweedfs(_: Path) -> Iterator[ObjectStore]:
    client = aws.engines().s3
    with aws.bucket(client) as bucket:
        yield S3Store(client, bucket)


@contextmanager
def dynamodb_local(_: Path) -> Iterator[ImageRepository]:
    client = aws.engines().dynamodb
    with aws.table(client) as table:
        yield DynamoImages(client, table)


STORES: dict[str, Callable[[Path], AbstractContextManager[ObjectStore]]] = {
    "filesystem": filesystem,
    "s3-moto": s3_on_moto,
    "s3-seaweedfs": seaweedfs,
}
REPOSITORIES: dict[str, Callable[[Path], AbstractContextManager[ImageRepository]]] = {
    "sqlite": sqlite_images,
    "dynamodb-moto": dynamodb_on_moto,
    "dynamodb-local": dynamodb_local,
}
KEYS: dict[str, Callable[[Path], AbstractContextManager[IdempotencyKeys]]] = {
    "sqlite": sqlite_keys,
    "dynamodb-moto": keys_on_moto,
    "dynamodb-local": keys_local,
}
KEY_STORES: dict[str, Callable[[Path], AbstractContextManager[KeyStore]]] = {
    "sqlite": sqlite_key_store,
    "dynamodb-moto": key_store_on_moto,
    "dynamodb-local": key_store_local,
}
ENDPOINT_STORES: dict[str, Callable[[Path], AbstractContextManager[EndpointStore]]] = {
    "sqlite": sqlite_endpoints,
    "dynamodb-moto": endpoints_on_moto,
    "dynamodb-local": endpoints_local,
}
DELIVERY_STORES: dict[str, Callable[[Path], AbstractContextManager[DeliveryStore]]] = {
    "sqlite": sqlite_deliveries,
    "dynamodb-moto": deliveries_on_moto,
    "dynamodb-local": deliveries_local,
}
QUEUES: dict[str, Callable[[Path, int, int], AbstractContextManager[EventQueue]]] = {
    "sqlite": sqlite_queue,
    "sqs-moto": sqs_on_moto,
}


REAL = frozenset({"s3-seaweedfs", "dynamodb-local"})


def with_marks(name: str) -> Any:
    """Return the adapter as a parameter; real engines have a tier of their own."""
    return pytest.param(name, marks=pytest.mark.engines) if name in REAL else name


@pytest.fixture(params=[with_marks(name) for name in STORES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=[with_marks(name) for name in REPOSITORIES])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageRepository]:
    with REPOSITORIES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=[with_marks(name) for name in KEYS])
def idempotency_keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IdempotencyKeys]:
    with KEYS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=[with_marks(name) for name in KEY_STORES])
def key_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    with KEY_STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=[with_marks(name) for name in ENDPOINT_STORES])
def endpoint_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EndpointStore]:
    with ENDPOINT_STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture(params=[with_marks(name) for name in DELIVERY_STORES])
def delivery_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeliveryStore]:
    with DELIVERY_STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def many(request: pytest.FixtureRequest) -> Many:
    """Seed three tenths of the records on moto, which copies its whole table for every item of a transaction."""
    on_moto = request.node.callspec.params["images"] == "dynamodb-moto"
    return lambda count: count * 3 // 10 if on_moto else count


@pytest.fixture(params=QUEUES)
def open_queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenQueue]:
    with ExitStack() as stack:

        def open_one(*, visibility: int = 30, max_attempts: int = 5) -> EventQueue:
            return stack.enter_context(QUEUES[request.param](tmp_path, visibility, max_attempts))

        yield open_one


@pytest.fixture
def queue(open_queue: OpenQueue) -> EventQueue:
    return open_queue()
