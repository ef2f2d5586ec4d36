"""Port of the webhook endpoints."""

from collections.abc import Sequence
from typing import Protocol

from app.domain.delivery.endpoints import WebhookEndpoint


class EndpointStore(Protocol):
    """Webhook endpoints. Every read sees all writes that have returned before it."""

    def create(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint, durable when the call returns. Raises `AlreadyExists` for a known id."""

    def get(self, endpoint_id: str) -> WebhookEndpoint | None:
        """Return the endpoint by one read; None if there is none."""

    def list(self, limit: int, after: str | None = None) -> Sequence[WebhookEndpoint]:
        """Return at most `limit` (1-201) endpoints, newest first: in descending order of ids, below the id `after`."""

    def all(self) -> Sequence[WebhookEndpoint]:
        """Return every endpoint, newest first. There are few: see `MAX_ENDPOINTS`."""

    def replace(self, endpoint: WebhookEndpoint) -> None:
        """Store a changed endpoint, whose `version` is one more than the stored one.

        Raises `Stale` for another version, and `Missing` if there is no such endpoint.
        """

    def delete(self, endpoint_id: str) -> bool:
        """Remove an endpoint. Return False if there is none."""
