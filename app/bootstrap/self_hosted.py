"""Adapters of a self-hosted installation: files and SQLite."""

from app.adapters.filesystem import FilesystemStore
from app.adapters.sqlite import Database, SqliteDeliveries, SqliteEndpoints, SqliteImages, SqliteQueue
from app.bootstrap.backends import ApiBackends, Backends
from app.bootstrap.values import build_signer, page_sizes, visibility_seconds
from app.domain.delivery.backends import Webhooks
from app.domain.delivery.events import EventSource
from app.domain.disk import check_free, port_errors
from app.domain.errors import ConfigurationError
from app.domain.images.notifications import object_created
from app.domain.keys import original_id
from app.domain.limits import MEBIBYTE
from app.domain.models import utcnow
from app.settings import Settings

#: Disk space that the database reserves for deletes when the disk is full.
_RESERVE_BYTES = 4 * MEBIBYTE


def open_self_hosted(settings: Settings) -> Backends:
    """Open the adapters on the data folder. Raises `ConfigurationError`."""
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
            urls=ServedFiles(seal, settings.public_url, page_sizes=page_sizes(settings)),
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
