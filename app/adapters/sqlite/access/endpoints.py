"""`EndpointStore` in a SQLite table."""

import sqlite3
from collections.abc import Sequence

from app.adapters.sqlite.database import Database
from app.domain.delivery.endpoints import WebhookEndpoint
from app.domain.errors import AlreadyExists, Missing, Stale

#: SQLite's word for no limit.
_NO_LIMIT = -1


class SqliteEndpoints:
    """Webhook endpoints in a `Database`, as JSON documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, endpoint: WebhookEndpoint) -> None:
        """See `EndpointStore.create`."""
        with self._database.writing() as connection:
            if _find(connection, endpoint.id) is not None:
                raise AlreadyExists(endpoint.id)
            connection.execute(
                "INSERT INTO webhook_endpoints (id, document) VALUES (?, ?)", (endpoint.id, endpoint.model_dump_json())
            )

    def get(self, endpoint_id: str) -> WebhookEndpoint | None:
        """See `EndpointStore.get`."""
        with self._database.reading() as connection:
            return _find(connection, endpoint_id)

    def list(self, limit: int, after: str | None = None) -> Sequence[WebhookEndpoint]:
        """See `EndpointStore.list`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT document FROM webhook_endpoints WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?",
                (after, after, limit),
            ).fetchall()
        return [WebhookEndpoint.model_validate_json(document) for (document,) in rows]

    def all(self) -> Sequence[WebhookEndpoint]:
        """See `EndpointStore.all`."""
        return self.list(_NO_LIMIT)

    def replace(self, endpoint: WebhookEndpoint) -> None:
        """See `EndpointStore.replace`."""
        with self._database.writing() as connection:
            found = _find(connection, endpoint.id)
            if found is None:
                raise Missing(endpoint.id)
            if found.version + 1 != endpoint.version:
                raise Stale(endpoint.id)
            connection.execute(
                "UPDATE webhook_endpoints SET document = ? WHERE id = ?", (endpoint.model_dump_json(), endpoint.id)
            )

    def delete(self, endpoint_id: str) -> bool:
        """See `EndpointStore.delete`. Works on a full disk."""
        return self._database.freeing(lambda: self._delete(endpoint_id))

    def _delete(self, endpoint_id: str) -> bool:
        with self._database.writing() as connection:
            return connection.execute("DELETE FROM webhook_endpoints WHERE id = ?", (endpoint_id,)).rowcount == 1


def _find(connection: sqlite3.Connection, endpoint_id: str) -> WebhookEndpoint | None:
    row = connection.execute("SELECT document FROM webhook_endpoints WHERE id = ?", (endpoint_id,)).fetchone()
    return WebhookEndpoint.model_validate_json(row[0]) if row else None
