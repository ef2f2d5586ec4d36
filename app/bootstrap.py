"""The composition root: from settings to adapters. An SDK is imported only in the branch that needs it."""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.domain.access.api_keys import Keyring
from app.domain.access.signing import Signer
from app.domain.disk import check_free, port_errors
from app.domain.errors import ConfigurationError
from app.domain.images.notifications import object_created
from app.domain.images.urls import FileSeal, ServedFiles, UrlSource
from app.domain.limits import MEBIBYTE, Limits
from app.domain.ports import EventQueue, ImageRepository, ObjectStore
from app.domain.uploads.grants import LocalStore, ServedGrants
from app.domain.uploads.tickets import GrantSource
from app.settings import Settings

#: An invocation carries at most 6 MB, in base64 and with its envelope: this much picture is sure to fit.
LAMBDA_UPLOAD_BYTES = 4 * MEBIBYTE

#: Disk space that the database keeps for deletes when the disk is full.
_RESERVE_BYTES = 4 * MEBIBYTE


@dataclass(frozen=True)
class Backends:
    """Everything that the settings decide. `locate` finds a stored object's file, on the embedded side only.

    `check_space` raises `Full` while the disk has too little space for the worker to process an image.
    """

    store: ObjectStore
    images: ImageRepository
    queue: EventQueue
    urls: UrlSource
    grants: GrantSource
    locate: Callable[[str], Path | None] | None = None
    local: LocalStore | None = None
    recover: Callable[[], None] = lambda: None
    tidy: Callable[[], object] = lambda: None
    check_space: Callable[[], None] = lambda: None

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """What must answer before the service is ready, by neutral names."""
        return {"storage": self.store.ping, "records": self.images.ping, "queue": self.queue.ping}


def open_backends(settings: Settings) -> Backends:
    """The adapters of the chosen side. Raises `ConfigurationError` when they cannot be had."""
    return _embedded(settings) if settings.embedded else _aws(settings)


def limits_of(settings: Settings) -> Limits:
    """The bounds that clients are told."""
    inline = settings.max_upload_bytes if settings.embedded else min(settings.max_upload_bytes, LAMBDA_UPLOAD_BYTES)
    return Limits(
        max_upload_bytes=inline,
        max_direct_bytes=settings.max_upload_bytes,
        max_open_tickets=settings.max_open_tickets,
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        accepted_types=settings.accepted_types,
        recipe=settings.recipe,
    )


def keyring_of(settings: Settings) -> Keyring | None:
    """The keys that callers must have one of; None where nobody is asked. Only who has callers needs any: raises
    `ConfigurationError` when there is none."""
    if settings.auth == "none":
        return None
    if not settings.api_keys:
        raise ConfigurationError("DARKROOM_API_KEYS: authentication is required, and there is no key")
    return Keyring(settings.api_keys)


def signer_of(settings: Settings) -> Signer:
    """Signs by the secret that was set or, embedded, the one in the data folder. Only who answers callers needs it:
    raises `ConfigurationError` when it cannot be had."""
    if settings.secret:
        return Signer(settings.secret.get_secret_value().encode())
    if not settings.embedded:
        raise ConfigurationError("DARKROOM_SECRET: must be set, for a function that signs cursors")
    return Signer(_kept_secret(settings.data_folder / "secret"))


def visibility_of(settings: Settings) -> float:
    """Seconds that a received event stays with its worker: two tries of one picture, and a minute to move bytes."""
    return 2 * settings.processing_timeout_seconds + 60


def _embedded(settings: Settings) -> Backends:
    from app.adapters.filesystem import FilesystemStore
    from app.adapters.sqlite import Database, SqliteImages, SqliteQueue

    folder = settings.data_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not settings.database_file.exists() and any((folder / "originals").glob("*/*")):
            raise ConfigurationError(
                f"DARKROOM_DATABASE_URL: {settings.database_file} is missing, and {folder} holds pictures: "
                "bring the file back, or move the folder away to begin anew"
            )
        signer = signer_of(settings)
    except OSError as error:
        raise ConfigurationError(f"DARKROOM_STORAGE_URL: cannot use {folder}: {error.strerror}") from error
    min_free_bytes = settings.min_free_mb * MEBIBYTE
    database = Database(settings.database_file, min_free_bytes=min_free_bytes, reserve_bytes=_RESERVE_BYTES)
    queue = SqliteQueue(database, visibility=visibility_of(settings), max_attempts=settings.max_attempts)

    def notify(key: str, size: int) -> None:
        queue.send(object_created(key, size))

    store = FilesystemStore(folder, on_created=notify, min_free_bytes=min_free_bytes)

    def recover() -> None:
        queue.recover()
        store.sweep()

    def tidy() -> None:
        store.sweep()
        database.fill_reserve()
        database.checkpoint()

    def check_space() -> None:
        with port_errors():
            check_free(folder, 0, min_free_bytes // 4)

    seal = FileSeal(signer) if settings.auth == "required" else None
    grants = ServedGrants(signer, settings.public_url)
    return Backends(
        store=store,
        images=SqliteImages(database),
        queue=queue,
        urls=ServedFiles(settings.public_url, seal),
        grants=grants,
        locate=store.path,
        local=LocalStore(store, grants, seal),
        recover=recover,
        tidy=tidy,
        check_space=check_space,
    )


def _aws(settings: Settings) -> Backends:
    from botocore.exceptions import BotoCoreError

    try:
        return _on_aws(settings)
    except (BotoCoreError, ValueError) as error:  # the latter for what is no address of an endpoint
        wanted = f"DARKROOM_STORAGE_URL: {settings.storage_url} needs AWS credentials and a region"
        raise ConfigurationError(f"{wanted}, and the SDK says: {error}") from error


def _on_aws(settings: Settings) -> Backends:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import NoCredentialsError

    from app.adapters.dynamodb import DynamoImages
    from app.adapters.s3 import PresignedGrants, PresignedUrls, Presigner, S3Store, s3_client
    from app.adapters.sqs import SqsQueue

    # A gateway waits 30 seconds for an answer: no call may take most of them.
    patience = Config(
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=50,
    )
    session = boto3.session.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    s3 = s3_client(session, patience)
    return Backends(
        store=S3Store(s3, settings.bucket),
        images=DynamoImages(session.client("dynamodb", config=patience), settings.table),
        queue=SqsQueue(session.client("sqs", config=patience), settings.queue_url or ""),
        urls=PresignedUrls(Presigner(s3, settings.bucket, credentials), settings.cdn_url),
        grants=PresignedGrants(s3, settings.bucket),
    )


def _kept_secret(file: Path) -> bytes:
    """Return the secret in the data folder; make it once."""
    from app.adapters.filesystem.durable import sync_folders

    if not file.exists():
        fresh = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_hex(32))
                handle.flush()
                os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):  # of two first starts one secret wins
                os.link(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folders([file.parent])
    secret = file.read_bytes().strip()
    if len(secret) < 16:
        raise ConfigurationError(f"{file} does not hold a secret: remove it to have a new one made")
    return secret
