"""Checks of `darkroom doctor`, from the settings of an installation."""

import fcntl
from collections.abc import Callable, Iterator
from functools import cache, partial
from urllib.parse import urlsplit

from app.bootstrap import Backends, open_backends, visibility_seconds
from app.domain.delivery.backends import Webhooks
from app.domain.delivery.deliveries import LEASE
from app.domain.errors import ConfigurationError, PortError
from app.domain.maintenance.doctor import backlog, configuration, machine, network
from app.domain.maintenance.doctor.findings import Check, Problem, error
from app.domain.maintenance.doctor.webhooks import check_wake_ups, check_webhooks
from app.settings import Settings
from app.worker.machine import usable_cpus, usable_memory_mb


def build_checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of an installation. Its stores are opened when the first check that needs them begins."""
    yield Check("access", "callers are as the settings say", lambda: configuration.check_access(settings))
    yield Check("addresses", "hosts and proxies", lambda: configuration.check_addresses(settings))
    yield Check("quotas", "each image fits", lambda: configuration.check_quotas(settings))
    if settings.public_url is not None:
        url = settings.public_url
        yield Check("proxy", f"{url} leads to the service", lambda: network.check_public_url(url))
    yield from _self_hosted(settings) if settings.self_hosted else _on_aws(settings)


def _self_hosted(settings: Settings) -> Iterator[Check]:
    folder = settings.data_folder
    slots = settings.workers or usable_cpus()
    yield Check("rights", f"{folder} belongs to this user", lambda: machine.check_rights(settings))
    if not folder.is_dir():
        return  # opening the stores would create it
    yield Check("disk", "space, hard links and durable writes", lambda: machine.check_disk(settings))
    yield Check("clock", "the disk's clock agrees", lambda: machine.check_clock(settings))
    yield Check("limits", "open files and memory", lambda: machine.check_limits(settings, usable_memory_mb(), slots))
    yield Check("database", f"{settings.database_file} is sound", lambda: _check_database(settings))
    try:
        backends = open_backends(settings)
    except (ConfigurationError, PortError) as failed:
        yield Check("stores", "", partial(_raise, failed))
        return
    yield Check("storage", "objects can be stored", lambda: _ping(backends.store.ping))
    yield Check("table", "records can be written", lambda: _ping(backends.images.ping))
    yield from _work(backends, lambda: _is_worker_running(settings))


def _on_aws(settings: Settings) -> Iterator[Check]:
    from app.adapters import aws_diagnosis as aws  # noqa: PLC0415 - an SDK is imported where it is needed
    from app.adapters.dynamodb import table_definition  # noqa: PLC0415
    from app.adapters.dynamodb.table import EXPIRES_AT  # noqa: PLC0415

    try:
        backends = open_backends(settings)
    except ConfigurationError as failed:
        yield Check("stores", "", partial(_raise, failed))
        return
    s3, sqs, dynamodb = (cache(partial(aws.open_client, name)) for name in ("s3", "sqs", "dynamodb"))
    queue_url = settings.queue_url or ""

    def queue_arn() -> str:
        return aws.read_queue(sqs(), queue_url)["QueueArn"]

    yield Check(
        "bucket",
        f"{settings.bucket} is private, sends events and accepts uploads of pages",
        lambda: aws.check_bucket(s3(), settings.bucket, queue_arn, _origins(settings)),
    )
    yield Check("storage", "objects can be read", lambda: _ping(backends.store.ping))
    yield Check("clock", "agrees with AWS", lambda: aws.check_clock(s3(), settings.bucket))
    yield Check(
        "messages",
        "time-out and attempts of the queue",
        lambda: aws.check_queue(
            sqs(),
            queue_url,
            "DARKROOM_QUEUE_URL",
            visibility=visibility_seconds(settings),
            max_attempts=settings.max_attempts,
        ),
    )
    yield Check(
        "table",
        f"{settings.table} has its index, expiry and recovery",
        lambda: aws.check_table(dynamodb(), table_definition(settings.table), EXPIRES_AT),
    )
    yield from _work(backends, None)
    if settings.webhook_queue_url:
        url = settings.webhook_queue_url
        yield Check(
            "wake-ups",
            "time-out and attempts of the queue of webhooks",
            lambda: aws.check_queue(sqs(), url, "DARKROOM_WEBHOOK_QUEUE_URL", visibility=LEASE.total_seconds()),
        )


def _work(backends: Backends, is_worker_running: Callable[[], bool] | None) -> Iterator[Check]:
    yield Check("queue", "no dead letters", lambda: backlog.check_queue(backends.queue, is_worker_running))
    yield Check("schedule", "reconcile runs", lambda: backlog.check_schedule(backends.images))
    yield Check("records", "no image comes from the future", lambda: _newest(backends))
    if not backends.counters.exact:
        yield Check("statistics", "all images are counted by format", lambda: backlog.check_formats(backends.counters))
    if backends.webhooks is not None:
        adapters = backends.webhooks
        yield Check("webhooks", "events arrive, and no endpoint is paused", lambda: _webhooks(adapters))


def _webhooks(adapters: Webhooks) -> Iterator[Problem]:
    yield from check_webhooks(adapters.deliveries, adapters.endpoints)
    if adapters.queue is not None and adapters.outbox is not None:
        yield from check_wake_ups(adapters.queue, adapters.outbox)


def _newest(backends: Backends) -> Iterator[Problem]:
    return backlog.check_newest(backends.images, backends.counters)


def _ping(ping: Callable[[], None]) -> Iterator[Problem]:
    ping()
    return iter(())


def _raise(failed: Exception) -> Iterator[Problem]:
    raise failed


def _check_database(settings: Settings) -> Iterator[Problem]:
    from app.adapters.sqlite.diagnosis import find_damage  # noqa: PLC0415 - of self-hosted installations

    if settings.database_file.exists() and (damage := find_damage(settings.database_file)):
        yield error("database_damaged", f"{settings.database_file}: {damage}", "restore it from a backup")


def _is_worker_running(settings: Settings) -> bool:
    """Return True if a worker process holds the lock of the data folder."""
    try:
        with (settings.data_folder / "worker.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _origins(settings: Settings) -> list[str]:
    """Return the origins whose pages upload: the service's own, and those of the settings."""
    own = urlsplit(settings.public_url or "")
    return [*([f"{own.scheme}://{own.netloc}"] if own.netloc else []), *settings.cors_origins]
