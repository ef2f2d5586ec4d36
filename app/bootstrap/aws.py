"""Adapters on AWS: S3, DynamoDB and SQS."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.session import Session

from app.adapters.dynamodb import DynamoImages
from app.adapters.s3 import S3Store, s3_client
from app.adapters.sqs import SqsQueue
from app.bootstrap.backends import ApiBackends, Backends
from app.bootstrap.values import page_sizes
from app.domain.errors import ConfigurationError
from app.domain.ports import EventQueue
from app.domain.sizes.offer import OnDemand
from app.settings import Settings

if TYPE_CHECKING:  # imported only where webhooks are on
    from app.domain.delivery.backends import Webhooks

#: Lifetime of superseded public variants in a bucket. Pages elsewhere name them, and no server redirects their urls.
_PUBLIC_LIFE = timedelta(days=365)


def open_aws(settings: Settings) -> Backends:
    """Open the adapters on S3, DynamoDB and SQS. Raises `ConfigurationError`."""
    try:
        return _connect(settings)
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no url
        needed = f"DARKROOM_STORAGE_URL: {settings.storage_url} needs AWS credentials and a region"
        raise ConfigurationError(f"{needed} (SDK: {error})") from error


def _connect(settings: Settings) -> Backends:
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
    sqs = session.create_client("sqs", config=config)
    images, webhooks = DynamoImages(dynamodb, settings.table), None
    if settings.webhook_queue_url:
        # A write is not delayed by a queue that does not answer.
        hasty = config.merge(
            Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
        )
        announcing = SqsQueue(session.create_client("sqs", config=hasty), settings.webhook_queue_url)
        images, webhooks = _with_webhooks(settings, dynamodb, SqsQueue(sqs, settings.webhook_queue_url), announcing)

    def recount(is_time_left: Callable[[], bool]) -> int:
        from app.adapters.dynamodb.recount import Recounts

        return Recounts(dynamodb, settings.table).run(is_time_left)

    def open_api() -> ApiBackends:
        from app.adapters.dynamodb.access.keys import DynamoKeys
        from app.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
        from app.adapters.s3.grants import PresignedGrants
        from app.adapters.s3.presign import Presigner
        from app.adapters.s3.urls import PresignedUrls

        sizes = None
        if settings.render_function:
            from app.adapters.render_function import FunctionRenderer

            # A size takes longer than other calls, and a retry would render it twice.
            patient = config.merge(Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1}))
            connect = partial(session.create_client, "lambda", config=patient)
            sizes = FunctionRenderer(connect, settings.render_function)
        presigner = Presigner(s3, settings.bucket, credentials, seconds=settings.signed_url_seconds)
        return ApiBackends(
            key_store=DynamoKeys(dynamodb, settings.access_table),
            idempotency_keys=DynamoIdempotencyKeys(dynamodb, settings.table),
            urls=PresignedUrls(presigner, settings.cdn_url, page_sizes=page_sizes(settings)),
            grants=PresignedGrants(s3, settings.bucket),
            sizes=sizes,
        )

    return Backends(
        store=S3Store(s3, settings.bucket),
        images=images,
        queue=SqsQueue(sqs, settings.queue_url or ""),
        counters=images.counters,
        open_api=open_api,
        recount=recount,
        cdn=cdn,
        public_life=_PUBLIC_LIFE,
        webhooks=webhooks,
    )


def _with_webhooks(
    settings: Settings, dynamodb: Any, queue: EventQueue, announcing: EventQueue
) -> tuple[DynamoImages, Webhooks]:
    """Open the records whose writes make events, and the adapters of webhooks."""
    from app.adapters.dynamodb.access.endpoints import DynamoEndpoints
    from app.adapters.dynamodb.delivery.outbox import EventWrites
    from app.adapters.dynamodb.delivery.store import DynamoDeliveries
    from app.domain.delivery.backends import Webhooks
    from app.domain.delivery.events import EventSource
    from app.domain.delivery.wake_ups import DeliveryMessages, announce

    events = EventWrites(settings.table, EventSource(settings.public_url), partial(announce, announcing))
    deliveries = DynamoDeliveries(dynamodb, settings.table)
    endpoints = DynamoEndpoints(dynamodb, settings.access_table)
    wake_up = DeliveryMessages(queue, deliveries).wake_up
    webhooks = Webhooks(deliveries, endpoints, wake_up, queue, deliveries)
    return DynamoImages(dynamodb, settings.table, events), webhooks
