"""Composition root: from settings to adapters. An SDK is imported only in the branch that needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.domain.access.signing import Signer
from app.domain.disk import check_free, port_errors
from app.domain.errors import ConfigurationError
from app.domain.images.notifications import object_created
from app.domain.images.renderings import Renderings
from app.domain.images.stats import Counters, Recount
from app.domain.keys import original_id
from app.domain.limits import MEBIBYTE, Limits
from app.domain.models import utcnow
from app.domain.ports import Cdn, EventQueue, ImageRepository, ObjectStore, OnDemandRenderer
from app.domain.sizes.policy import OnDemand
from app.domain.work import RENDERING_LIFE
from app.settings import Settings

if TYPE_CHECKING:  # see `ApiBackends`
    from app.domain.delivery.backends import Webhooks
    from app.domain.images.urls import PageSizes, UrlSource
    from app.domain.ports.key_store import KeyStore
    from app.domain.uploads.grants import LocalStore
    from app.domain.uploads.idempotency import IdempotencyKeys
    from app.domain.uploads.tickets import GrantSource

#: An invocation carries at most 6 MB, in base64 and with its envelope. An image of this size fits.
LAMBDA_UPLOAD_BYTES = 4 * MEBIBYTE
LAMBDA_JSON_BYTES = 5_750_000
#: Disk space that the database reserves for deletes when the disk is full.
_RESERVE_BYTES = 4 * MEBIBYTE
#: Lifetime of superseded public variants in a bucket. Pages elsewhere name them, and no server redirects their urls.
_PUBLIC_LIFE = timedelta(days=365)


class ApiBackends(NamedTuple):
    """Adapters that only the API needs. Other functions do not import them: that would make their start longer.

    `file_path` returns the path of a stored object, if objects are local files. `sizes` is set if another process or
    function renders sizes on demand.
    """

    key_store: KeyStore
    idempotency_keys: IdempotencyKeys
    urls: UrlSource
    grants: GrantSource
    file_path: Callable[[str], Path | None] | None = None
    local: LocalStore | None = None
    sizes: OnDemandRenderer | None = None


@dataclass(frozen=True)
class Backends:
    """Adapters that the settings select.

    `recover` undoes the traces of a killed worker; `tidy` is maintenance after each reconcile, and `recount` corrects
    counts that are approximate. `check_space` raises `Full` while the disk has too little space for the worker to
    process an image. `cdn` is set if public variants are removed from a CDN, and `webhooks` if events are kept.
    """

    store: ObjectStore
    images: ImageRepository
    queue: EventQueue
    counters: Counters
    open_api: Callable[[], ApiBackends]
    cdn: Cdn | None = None
    public_life: timedelta = RENDERING_LIFE
    webhooks: Webhooks | None = None
    recover: Callable[[], None] = lambda: None
    tidy: Callable[[], object] = lambda: None
    recount: Recount = lambda _: 0
    check_space: Callable[[], None] = lambda: None

    @cached_property
    def renderings(self) -> Renderings:
        """Variants in the store."""
        return Renderings(self.store, self.images, cdn=self.cdn, public_life=self.public_life)

    @property
    def checks(self) -> dict[str, Callable[[], None]]:
        """Readiness checks by neutral names. Each raises an error if its backend does not work."""
        return {"storage": self.store.ping, "records": self.images.ping, "queue": self.queue.ping}


def open_backends(settings: Settings) -> Backends:
    """Open the adapters. Raises `ConfigurationError` if they cannot be opened."""
    return _open_self_hosted(settings) if settings.self_hosted else _open_aws(settings)


def build_limits(settings: Settings) -> Limits:
    """Build the limits that `GET /limits` publishes."""
    inline, in_json = settings.max_upload_bytes, settings.max_json_bytes
    if not settings.self_hosted:
        inline, in_json = min(inline, LAMBDA_UPLOAD_BYTES), min(in_json, LAMBDA_JSON_BYTES)
    return Limits(
        max_upload_bytes=inline,
        max_json_bytes=in_json,
        max_direct_bytes=settings.max_upload_bytes,
        max_open_tickets=settings.max_open_tickets,
        quota_bytes=settings.quota_bytes or None,
        quota_images=settings.quota_images or None,
        trash_days=settings.trash_days,
        url_uploads=bool(settings.fetch_hosts),
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        accepted_types=settings.accepted_types,
        recipe=settings.recipe,
    )


def build_signer(settings: Settings) -> Signer:
    """Build the signer from `DARKROOM_SECRET` or, self-hosted, the secret in the data folder. The previous ones still
    verify. Raises `ConfigurationError` if there is no secret."""
    previous = [settings.previous_secret.get_secret_value().encode()] if settings.previous_secret else []
    if not settings.self_hosted:
        if not settings.secret:
            raise ConfigurationError("DARKROOM_SECRET: must be set with s3://; it signs cursors and share links")
        return Signer(settings.secret.get_secret_value().encode(), previous)
    from app.adapters.filesystem.secret_file import check_secret, read_secret

    file = settings.data_folder / "secret"
    if (kept := file.with_name("secret.previous")).exists():
        previous.append(check_secret(kept))
    return Signer(settings.secret.get_secret_value().encode() if settings.secret else read_secret(file), previous)


def visibility_seconds(settings: Settings) -> float:
    """Return the visibility time-out of a received event: two attempts at one image, and a minute to move bytes."""
    return 2 * settings.processing_timeout_seconds + 60


def _page_sizes(settings: Settings) -> PageSizes | None:
    """Return the sizes that markup names; None if they are off or each needs a signature."""
    from app.domain.images.urls import PageSizes

    is_offered = settings.on_demand_mode is OnDemand.SNAP
    return PageSizes(settings.on_demand_widths, settings.cdn_url, settings.on_demand_jxl) if is_offered else None


def _open_self_hosted(settings: Settings) -> Backends:
    from app.adapters.filesystem import FilesystemStore
    from app.adapters.sqlite import Database, SqliteDeliveries, SqliteEndpoints, SqliteImages, SqliteQueue
    from app.domain.delivery.backends import Webhooks
    from app.domain.delivery.events import EventSource

    folder = settings.data_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not settings.database_file.exists() and any((folder / "originals").glob("*/*")):
            raise ConfigurationError(
                f"DARKROOM_DATABASE_URL: {settings.database_file} is missing, but {folder} holds images: "
                "restore the file, or move the folder away to start empty"
            )
        signer = build_signer(settings)
    except OSError as error:
        raise ConfigurationError(f"DARKROOM_STORAGE_URL: cannot use {folder}: {error.strerror}") from error
    min_free_bytes = settings.min_free_mb * MEBIBYTE
    database = Database(settings.database_file, min_free_bytes=min_free_bytes, reserve_bytes=_RESERVE_BYTES)
    queue = SqliteQueue(database, visibility=visibility_seconds(settings), max_attempts=settings.max_attempts)
    images = SqliteImages(database, EventSource(settings.public_url))
    deliveries = SqliteDeliveries(database)

    def notify(key: str, size: int) -> None:
        queue.send(object_created(key, size), owner=images.find_owner(original_id(key) or "") or "")

    store = FilesystemStore(folder, on_created=notify, min_free_bytes=min_free_bytes)

    def recover() -> None:
        queue.recover()
        deliveries.recover()
        store.sweep()

    def tidy() -> None:
        store.sweep()
        queue.tidy()
        deliveries.remove_old(utcnow())
        database.fill_reserve()
        database.checkpoint()

    def check_space() -> None:
        with port_errors():
            check_free(folder, 0, min_free_bytes // 4)

    def open_api() -> ApiBackends:
        from app.adapters.render_socket import SocketRenderer
        from app.adapters.sqlite import SqliteIdempotencyKeys, SqliteKeys
        from app.domain.access.file_seal import FileSeal
        from app.domain.images.urls import ServedFiles
        from app.domain.uploads.grants import LocalStore, ServedGrants

        seal = FileSeal(signer, settings.signed_url_seconds)
        grants = ServedGrants(signer, settings.public_url)
        return ApiBackends(
            key_store=SqliteKeys(database),
            idempotency_keys=SqliteIdempotencyKeys(database),
            urls=ServedFiles(seal, settings.public_url, page_sizes=_page_sizes(settings)),
            grants=grants,
            file_path=store.path,
            local=LocalStore(store, grants, seal),
            sizes=SocketRenderer(settings.size_socket),
        )

    return Backends(
        store=store,
        images=images,
        queue=queue,
        counters=images.counters,
        open_api=open_api,
        webhooks=Webhooks(deliveries, SqliteEndpoints(database)),
        recover=recover,
        tidy=tidy,
        check_space=check_space,
    )


def _open_aws(settings: Settings) -> Backends:
    from botocore.exceptions import BotoCoreError

    try:
        return _connect_to_aws(settings)
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no url
        needed = f"DARKROOM_STORAGE_URL: {settings.storage_url} needs AWS credentials and a region"
        raise ConfigurationError(f"{needed} (SDK: {error})") from error


def _connect_to_aws(settings: Settings) -> Backends:
    from botocore.config import Config
    from botocore.exceptions import NoCredentialsError
    from botocore.session import Session

    from app.adapters.dynamodb import DynamoImages
    from app.adapters.s3 import S3Store, s3_client
    from app.adapters.sqs import SqsQueue

    # A gateway waits 30 seconds for a response, so no call may take most of them.
    config = Config(
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=50,
    )
    session = Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    s3 = s3_client(session, config)
    cdn = None
    if settings.cdn_distribution:
        from app.adapters.cloudfront import CloudFront

        cdn = CloudFront(
            session.create_client("cloudfront", config=config),
            settings.cdn_distribution,
            sizes=settings.on_demand_mode is not OnDemand.OFF,
        )
    dynamodb = session.create_client("dynamodb", config=config)
    images = DynamoImages(dynamodb, settings.table)

    def recount(is_time_left: Callable[[], bool]) -> int:
        from app.adapters.dynamodb.recount import Recounts

        return Recounts(dynamodb, settings.table).run(is_time_left)

    def open_api() -> ApiBackends:
        from app.adapters.dynamodb.access.keys import DynamoKeys
        from app.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
        from app.adapters.render_function import FunctionRenderer
        from app.adapters.s3.grants import PresignedGrants
        from app.adapters.s3.presign import Presigner
        from app.adapters.s3.urls import PresignedUrls

        presigner = Presigner(s3, settings.bucket, credentials, seconds=settings.signed_url_seconds)
        # A size takes longer than other calls, and a retry would render it twice.
        patient = config.merge(Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1}))
        connect = partial(session.create_client, "lambda", config=patient)
        return ApiBackends(
            key_store=DynamoKeys(dynamodb, settings.access_table),
            idempotency_keys=DynamoIdempotencyKeys(dynamodb, settings.table),
            urls=PresignedUrls(presigner, settings.cdn_url, page_sizes=_page_sizes(settings)),
            grants=PresignedGrants(s3, settings.bucket),
            sizes=FunctionRenderer(connect, settings.render_function) if settings.render_function else None,
        )

    return Backends(
        store=S3Store(s3, settings.bucket),
        images=images,
        queue=SqsQueue(session.create_client("sqs", config=config), settings.queue_url or ""),
        counters=images.counters,
        open_api=open_api,
        recount=recount,
        cdn=cdn,
        public_life=_PUBLIC_LIFE,
    )
