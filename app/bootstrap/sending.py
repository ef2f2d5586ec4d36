"""The sender of webhooks, for a worker process and for a function."""

from collections.abc import Callable

from app import __version__
from app.adapters.outbound import GuardedHttp
from app.bootstrap.backends import Backends
from app.bootstrap.values import build_signer
from app.domain.delivery.backends import Webhooks
from app.domain.delivery.deliveries import Attempt
from app.domain.delivery.endpoints import EndpointSecrets
from app.domain.delivery.sending import Sender
from app.domain.errors import ConfigurationError
from app.settings import Settings


def get_webhooks(backends: Backends) -> Webhooks:
    """Return the adapters of webhooks. Raises `ConfigurationError` if they are off."""
    if backends.webhooks is None:
        raise ConfigurationError("DARKROOM_WEBHOOK_QUEUE_URL: must be set to send webhooks with s3://")
    return backends.webhooks


def build_sender(
    settings: Settings,
    backends: Backends,
    *,
    on_attempt: Callable[[Attempt], None] = lambda _: None,
    on_dead: Callable[[], None] = lambda: None,
) -> Sender:
    """Build the sender, which calls `on_attempt` for each attempt and `on_dead` for each dead delivery. Raises
    `ConfigurationError` if webhooks are off."""
    adapters = get_webhooks(backends)
    http = GuardedHttp(__version__, allow_private=settings.allow_private_addresses)
    secrets = EndpointSecrets(build_signer(settings))
    return Sender(
        adapters.deliveries,
        adapters.endpoints,
        secrets,
        http,
        wake_up=adapters.wake_up,
        on_attempt=on_attempt,
        on_dead=on_dead,
    )
