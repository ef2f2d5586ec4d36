"""Webhook endpoints, their secrets, and the events that they receive.

A secret is derived from the service's secret, the endpoint's id and a generation, so nothing secret is stored. A
rotation moves on to the next generation; for a day, the previous one signs too.
"""

import base64
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from app.domain.access.signing import Signer
from app.domain.delivery.event_types import ALL_EVENTS
from app.domain.ids import new_id
from app.domain.models import Model
from app.domain.times import is_implausible

#: Most endpoints of an installation.
MAX_ENDPOINTS = 100
#: Time for which the previous secret signs after a rotation.
ROTATION_GRACE = timedelta(hours=24)

ENDPOINT_ID_PATTERN = "^whe_[0-9a-f]{32}$"
_ENDPOINT_ID = re.compile(ENDPOINT_ID_PATTERN)
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of Standard Webhooks


class WebhookEndpoint(Model):
    """An address that receives events. `owner` is that of the images; None for the images of every owner.

    `generation` is that of the secret. Until `previous_until` the secret before it signs too. `version` counts changes.
    """

    id: str
    url: str
    events: tuple[str, ...] = (ALL_EVENTS,)
    owner: str | None = None
    description: str | None = None
    enabled: bool = True
    generation: int = 1
    previous_until: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    version: int = 1

    def receives(self, event_type: str, owner: str) -> bool:
        """Return True if the endpoint is enabled and subscribed to events of this type and this owner's images."""
        is_subscribed = ALL_EVENTS in self.events or event_type in self.events
        return self.enabled and is_subscribed and self.owner in {None, owner}

    def signs_with_previous(self, now: datetime) -> bool:
        """Return True if the secret before the last rotation signs too.

        A time later than any rotation allows counts as passed: it was stored by a clock that was wrong.
        """
        until = self.previous_until
        return until is not None and now < until and not is_implausible(until, now, ROTATION_GRACE)


class EndpointSecrets:
    """Secrets of webhook endpoints, derived from the secrets of the service."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def current(self, endpoint: WebhookEndpoint) -> str:
        """Return the secret of an endpoint, in the form of Standard Webhooks: `whsec_` and 32 bytes in base64."""
        return _SECRET_PREFIX + base64.b64encode(self._derive(endpoint, endpoint.generation)[0]).decode()

    def signing_keys(self, endpoint: WebhookEndpoint, now: datetime) -> Sequence[bytes]:
        """Return the keys that sign a request to an endpoint, at least one, the current one first.

        Those of the previous generation follow for a day after a rotation, and those of a service secret that was
        replaced, as long as the service knows it.
        """
        keys = [*self._derive(endpoint, endpoint.generation)]
        if endpoint.signs_with_previous(now):
            keys += self._derive(endpoint, endpoint.generation - 1)
        return keys

    def _derive(self, endpoint: WebhookEndpoint, generation: int) -> Sequence[bytes]:
        return self._signer.derive_keys(f"webhook\0{endpoint.id}\0{generation}")


def new_endpoint_id() -> str:
    """Return a new id, which sorts after older ones."""
    return f"whe_{new_id().replace('-', '')}"


def is_endpoint_id(text: str) -> bool:
    """Return True if the text has the form of an endpoint's id."""
    return _ENDPOINT_ID.fullmatch(text) is not None


def rotate_secret(endpoint: WebhookEndpoint, now: datetime) -> WebhookEndpoint:
    """Return the endpoint with the next secret. The one before it signs for `ROTATION_GRACE`, older ones do not."""
    fields = {
        "generation": endpoint.generation + 1,
        "previous_until": now + ROTATION_GRACE,
        "updated_at": now,
        "version": endpoint.version + 1,
    }
    return endpoint.model_copy(update=fields)
