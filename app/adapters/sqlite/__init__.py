"""Records and events in one SQLite file."""

from app.adapters.sqlite.database import Database
from app.adapters.sqlite.images import SqliteImages
from app.adapters.sqlite.queue import SqliteQueue

__all__ = ["Database", "SqliteImages", "SqliteQueue"]
