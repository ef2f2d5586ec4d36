"""Webhook endpoints and deliveries as objects, with the members of the JSON documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

EndpointStatus = Literal["active", "paused", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "dead", "dropped"]


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A webhook endpoint."""

    id: str
    url: str
    events: tuple[str, ...] = ("*",)
    #: Owner of the images; None for the images of every owner.
    owner: str | None = None
    description: str | None = None
    enabled: bool = True
    status: EndpointStatus = "active"
    failing_since: datetime | None = None
    #: Until this time the secret before the last rotation signs too.
    previous_secret_until: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    #: `whsec_…`; in the answers to a creation and a rotation only.
    secret: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request to an endpoint: the status of its answer, or why there was none."""

    at: datetime
    status: int | None = None
    error: str | None = None
    ms: int = 0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event for one endpoint, and the last attempts to send it."""

    id: str
    event_id: str
    endpoint_id: str
    type: str
    status: DeliveryStatus
    image_id: str | None = None
    owner: str | None = None
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: datetime | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Redelivered:
    """Number of deliveries that are sent again. If it is not `complete`, there may be more before `until`."""

    count: int
    complete: bool = True
    until: datetime | None = None
