"""Creation, change, rotation and removal of webhook endpoints."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from app.domain.delivery.deliveries import EndpointHealth
from app.domain.delivery.endpoint_fields import EndpointFields
from app.domain.delivery.endpoints import (
    MAX_ENDPOINTS,
    EndpointSecrets,
    WebhookEndpoint,
    is_endpoint_id,
    new_endpoint_id,
    rotate_secret,
)
from app.domain.delivery.redelivery import Deliveries
from app.domain.errors import Conflict, KeepsChanging, Missing, NotFound, PortError, Stale
from app.domain.models import utcnow
from app.domain.ports.endpoint_store import EndpointStore
from app.domain.uploads.field_values import unknown_fields

#: Fields that a caller sets.
CREATE_FIELDS = ("url", "events", "owner", "description")
PATCH_FIELDS = (*CREATE_FIELDS, "enabled")
_ATTEMPTS = 5


class EndpointAdmin:
    """Changes of the endpoints of an installation. Values of fields are those of JSON, and are checked here."""

    def __init__(
        self, store: EndpointStore, deliveries: Deliveries, secrets: EndpointSecrets, fields: EndpointFields
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._secrets = secrets
        self._parsers: Mapping[str, Callable[[object], Any]] = {name: getattr(fields, name) for name in PATCH_FIELDS}

    def create(self, members: Mapping[str, object]) -> tuple[str, WebhookEndpoint]:
        """Create an endpoint; return its secret with it. Raises `Invalid`, and `Conflict` if there are too many.

        Requests at the same time may exceed the limit by their number.
        """
        _check_names(members, CREATE_FIELDS)
        checked = {name: self._parsers[name](members.get(name)) for name in CREATE_FIELDS}
        found = len(self._store.all())
        if found >= MAX_ENDPOINTS:
            detail = (
                f"There are {found} webhook endpoints. The limit is {MAX_ENDPOINTS}: delete one that is not needed."
            )
            raise Conflict("too_many_endpoints", detail, measured=found, limit=MAX_ENDPOINTS)
        now = utcnow()
        endpoint = WebhookEndpoint(id=new_endpoint_id(), created_at=now, updated_at=now, **checked)
        self._store.create(endpoint)
        return self._secrets.current(endpoint), endpoint

    def get(self, endpoint_id: str) -> WebhookEndpoint:
        """Return an endpoint. Raises `NotFound`."""
        found = self._store.get(endpoint_id) if is_endpoint_id(endpoint_id) else None
        if found is None:
            raise _not_found()
        return found

    def get_enabled(self, endpoint_id: str) -> WebhookEndpoint:
        """Return an endpoint to which events are sent. Raises `NotFound`, and `Conflict` for one that is disabled."""
        found = self.get(endpoint_id)
        if not found.enabled:
            raise Conflict("webhook_disabled", "The webhook endpoint is disabled. Set `enabled` to true first.")
        return found

    def list(self, limit: int, after: str | None = None) -> Sequence[WebhookEndpoint]:
        """Return endpoints, newest first: see `EndpointStore.list`."""
        return self._store.list(limit, after)

    def health(self, endpoints: Sequence[WebhookEndpoint]) -> Mapping[str, EndpointHealth]:
        """Return the health of those endpoints that have one, by id."""
        return self._deliveries.health([endpoint.id for endpoint in endpoints])

    def edit(self, endpoint_id: str, members: Mapping[str, object]) -> WebhookEndpoint:
        """Change the fields that a JSON merge patch names. `enabled: true` forgets the failures of the endpoint.

        Raises `Invalid` and `NotFound`.
        """
        _check_names(members, PATCH_FIELDS)
        checked = {name: self._parsers[name](value) for name, value in members.items()}

        def apply(endpoint: WebhookEndpoint) -> WebhookEndpoint:
            if all(getattr(endpoint, name) == value for name, value in checked.items()):
                return endpoint
            return endpoint.model_copy(update={**checked, "updated_at": utcnow(), "version": endpoint.version + 1})

        changed = self._change(endpoint_id, apply)
        if checked.get("enabled"):
            self._deliveries.clear_health(endpoint_id)
        return changed

    def rotate(self, endpoint_id: str) -> tuple[str, WebhookEndpoint]:
        """Give an endpoint a new secret; return it with the endpoint. Raises `NotFound`.

        The secret before it signs for a day too.
        """
        rotated = self._change(endpoint_id, lambda endpoint: rotate_secret(endpoint, utcnow()))
        return self._secrets.current(rotated), rotated

    def delete(self, endpoint_id: str) -> bool:
        """Remove an endpoint. Return False if there is none. Raises `NotFound` for a text that is no id of one.

        Its pending deliveries are due then, so that the sender drops them.
        """
        if not is_endpoint_id(endpoint_id):
            raise _not_found()
        was_there = self._store.delete(endpoint_id)
        with suppress(PortError):  # the endpoint is gone; its deliveries are dropped at their own time
            self._deliveries.clear_health(endpoint_id)
        return was_there

    def _change(self, endpoint_id: str, apply: Callable[[WebhookEndpoint], WebhookEndpoint]) -> WebhookEndpoint:
        for _ in range(_ATTEMPTS):
            found = self.get(endpoint_id)
            changed = apply(found)
            if changed is found:
                return found
            try:
                self._store.replace(changed)
            except Stale:
                continue
            except Missing:
                raise _not_found() from None
            return changed
        raise KeepsChanging(endpoint_id)


def _check_names(members: Mapping[str, object], known: Sequence[str]) -> None:
    if unknown := members.keys() - set(known):
        raise unknown_fields(unknown, known)


def _not_found() -> NotFound:
    detail = "No webhook endpoint has this id: `whe_` and 32 hex digits. `GET /webhooks` lists the ids."
    return NotFound("webhook_not_found", detail)
