"""Records, events, idempotency keys, API keys and webhook endpoints in one SQLite file."""

from app.adapters.sqlite.access.endpoints import SqliteEndpoints
from app.adapters.sqlite.access.keys import SqliteKeys
from app.adapters.sqlite.database import Database
from app.adapters.sqlite.delivery.store import SqliteDeliveries
from app.adapters.sqlite.files import SqliteFiles
from app.adapters.sqlite.idempotency import SqliteIdempotencyKeys
from app.adapters.sqlite.images import SqliteImages
from app.adapters.sqlite.queue import SqliteQueue

__all__ = [
    "Database",
    "SqliteDeliveries",
    "SqliteEndpoints",
    "SqliteFiles",
    "SqliteIdempotencyKeys",
    "SqliteImages",
    "SqliteKeys",
    "SqliteQueue",
]
