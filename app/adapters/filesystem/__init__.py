"""Objects as files under one folder."""

from app.adapters.filesystem.layout import locate
from app.adapters.filesystem.store import FilesystemStore

__all__ = ["FilesystemStore", "locate"]
