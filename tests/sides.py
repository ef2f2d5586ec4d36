"""The backends a test runs on, and wrappers that make something happen during a call."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.dynamodb import DynamoImages
from app.adapters.dynamodb.access.endpoints import DynamoEndpoints
from app.adapters.dynamodb.access.keys import DynamoKeys
from app.adapters.dynamodb.delivery.store import DynamoDeliveries
from app.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from app.adapters.filesystem import FilesystemStore
from app.adapters.s3 import S3Store
from app.adapters.s3.grants import PresignedGrants
from app.adapters.s3.presign import Presigner
from app.adapters.s3.urls import PresignedUrls
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
from app.domain.access.file_seal import FileSeal
from app.domain.access.signing import Signer
from app.domain.delivery.backends import Webhooks
from app.domain.images.deletion import Deletion
from app.domain.images.editing import Editor
from app.domain.images.notifications import object_created
from app.domain.images.renderings import Renderings
from app.domain.images.stats import Counters
from app.domain.images.trash import Trash
from app.domain.images.urls import ServedFiles, UrlSource
from app.domain.keys import ON_DEMAND, ORIGINALS, PROCESSED, original_id
from app.domain.maintenance.reconcile import Reconciler
from app.domain.models import utcnow
from app.domain.ports import EventQueue, ImageRepository, ObjectStore
from app.domain.ports.key_store import KeyStore
from app.domain.uploads.grants import ServedGrants
from app.domain.uploads.idempotency import IdempotencyKeys
from app.domain.uploads.tickets import GrantSource
from tests import aws
from tests.on_aws.presigned import by_moto, by_network, reader

#: Signs what the tests' services sign.
SIGNER = Signer(b"a secret of the tests")


class Clock:
    """A clock that stands still, so that urls do not change within a test, unless the test sets it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Side:
    """One set of adapters, wired so that a new original sends its event. `fetch` reads a url of theirs, where the
    application does not answer it itself. `clock` is that of signed urls."""

    store: ObjectStore
    images: ImageRepository
    idempotency_keys: IdempotencyKeys
    key_store: KeyStore
    queue: EventQueue
    clock: Clock = field(default_factory=Clock)
    grants: GrantSource = field(default_factory=lambda: ServedGrants(SIGNER))
    presigned: PresignedUrls | None = None
    fetch: Callable[[str], httpx.Response] | None = None
    webhooks: Webhooks | None = None

    @property
    def counters(self) -> Counters:
        """Counts of images."""
        found: Counters = self.images.counters  # type: ignore[attr-defined] # of the adapter
        return found

    @property
    def seal(self) -> FileSeal:
        """Signatures of the self-hosted server's urls."""
        return FileSeal(SIGNER, clock=self.clock)

    @property
    def urls(self) -> UrlSource:
        """Urls of originals and variants."""
        return self.presigned or ServedFiles(self.seal)

    @property
    def renderings(self) -> Renderings:
        """Variants in the store."""
        return Renderings(self.store, self.images)

    @property
    def deletion(self) -> Deletion:
        """Deletion of images."""
        return Deletion(self.images, self.renderings)

    @property
    def editor(self) -> Editor:
        """Changes of images."""
        return Editor(self.images, self.queue, self.renderings)

    def trash(self, days: int = 30) -> Trash:
        """Trash of images."""
        return Trash(self.store, self.images, self.editor, self.deletion, days=days)

    @property
    def reconciler(self) -> Reconciler:
        """Repair of records."""
        return Reconciler(self.store, self.images, self.queue, self.renderings)

    def having(self, **changes: Any) -> "Side":
        """Return these backends with some replaced."""
        return replace(self, **changes)

    def unfinished(self) -> list[str]:
        """Ids of records and tombstones with any task, however late it is due."""
        return list(self.images.due(utcnow() + timedelta(days=1000)))

    def objects(self) -> set[str]:
        """Every key in the store."""
        return {info.key for prefix in (ORIGINALS, PROCESSED, ON_DEMAND) for info in self.store.list(prefix)}


@contextmanager
def self_hosted(folder: Path) -> Iterator[Side]:
    """Files and SQLite in a folder."""
    database = Database(folder / "darkroom.db")
    queue = SqliteQueue(database, visibility=30, max_attempts=3)
    images = SqliteImages(database)

    def notify(key: str, size: int) -> None:
        queue.send(object_created(key, size), owner=images.find_owner(original_id(key) or "") or "")

    try:
        store = FilesystemStore(folder, on_created=notify)
        yield Side(
            store,
            images,
            SqliteIdempotencyKeys(database),
            SqliteKeys(database),
            queue,
            webhooks=Webhooks(SqliteDeliveries(database), SqliteEndpoints(database)),
        )
    finally:
        database.close()


@contextmanager
def on_moto(folder: Path) -> Iterator[Side]:
    """S3, SQS and DynamoDB as moto plays them, with the bucket's own notifications."""
    made = aws.moto()
    with (
        aws.bucket(made.s3) as bucket,
        aws.table(made.dynamodb) as table,
        aws.access_table(made.dynamodb, table) as access,
        aws.queue(made.sqs, visibility=30, max_attempts=3) as url,
    ):
        aws.notify(made, bucket, url)
        store, queue = S3Store(made.s3, bucket), SqsQueue(made.sqs, url)
        for message in queue.receive(10):  # the test event that S3 sends first
            queue.delete(message.receipt)
        fetch = reader(by_moto, f"{made.s3.meta.endpoint_url}/{bucket}/")
        grants, clock = PresignedGrants(made.s3, bucket), Clock()
        urls = _urls(made, bucket, clock)
        images, keys = DynamoImages(made.dynamodb, table), DynamoIdempotencyKeys(made.dynamodb, table)
        webhooks = Webhooks(DynamoDeliveries(made.dynamodb, table), DynamoEndpoints(made.dynamodb, access))
        yield Side(store, images, keys, DynamoKeys(made.dynamodb, access), queue, clock, grants, urls, fetch, webhooks)


@contextmanager
def on_engines(folder: Path) -> Iterator[Side]:
    """SeaweedFS and DynamoDB Local, with moto's SQS. SeaweedFS sends no events: its puts are followed by one."""
    made = aws.engines()
    with (
        aws.bucket(made.s3) as bucket,
        aws.table(made.dynamodb) as table,
        aws.access_table(made.dynamodb, table) as access,
        aws.queue(made.sqs, visibility=30, max_attempts=3) as url,
    ):
        queue = SqsQueue(made.sqs, url)

        def notify(key: str, _: object, *, size: int, content_type: str) -> None:
            if key.startswith(ORIGINALS):
                queue.send(object_created(key, size, bucket))

        store = Interposed(S3Store(made.s3, bucket), after={"create": notify})
        fetch = reader(by_network, f"{made.s3.meta.endpoint_url}/{bucket}/")
        grants, clock = PresignedGrants(made.s3, bucket), Clock()
        urls = _urls(made, bucket, clock)
        images, keys = DynamoImages(made.dynamodb, table), DynamoIdempotencyKeys(made.dynamodb, table)
        webhooks = Webhooks(DynamoDeliveries(made.dynamodb, table), DynamoEndpoints(made.dynamodb, access))
        yield Side(store, images, keys, DynamoKeys(made.dynamodb, access), queue, clock, grants, urls, fetch, webhooks)


def _urls(made: aws.Clients, bucket: str, clock: Clock) -> PresignedUrls:
    return PresignedUrls(Presigner(made.s3, bucket, made.credentials, clock=clock))


#: What tests of the whole run on. The engines are a tier of their own.
SIDES: dict[str, Callable[[Path], AbstractContextManager[Side]]] = {
    "self-hosted": self_hosted,
    "moto": on_moto,
    "engines": on_engines,
}


def side_parameters() -> list[Any]:
    """The sides as parameters of a fixture."""
    return [pytest.param(name, marks=pytest.mark.engines) if name == "engines" else name for name in SIDES]


class Interposed:
    """An adapter with something happening before, after or instead of some of its calls."""

    def __init__(
        self,
        inner: Any,
        *,
        before: dict[str, Callable[..., object]] | None = None,
        after: dict[str, Callable[..., object]] | None = None,
    ) -> None:
        self._inner = inner
        self._before = before or {}
        self._after = after or {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **options: Any) -> Any:
            if name in self._before:
                self._before[name](*args, **options)
            result = method(*args, **options)
            if name in self._after:
                self._after[name](*args, **options)
            return result

        return call


def once(action: Callable[[], object]) -> Callable[..., None]:
    """A hook that acts the first time only."""
    left = [action]

    def hook(*_: Any, **__: Any) -> None:
        if left:
            left.pop()()

    return hook
