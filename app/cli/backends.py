"""Stores for operator commands."""

import logging
from typing import Any

from app.bootstrap import Backends, open_backends
from app.domain.errors import ConfigurationError
from app.settings import Settings, load


def open_existing() -> tuple[Settings, Backends]:
    """Open the stores that the settings name.

    A missing data folder is an error: a new one has nothing to repair, and creating it would hide a wrong setting.
    """
    settings = load_settings()
    require_folder(settings)
    return settings, open_backends(settings)


def require_folder(settings: Settings) -> None:
    """Raise `ConfigurationError` if this is a self-hosted installation whose data folder does not exist."""
    if settings.self_hosted and not settings.data_folder.is_dir():
        where = settings.data_folder
        raise ConfigurationError(
            f"DARKROOM_STORAGE_URL: folder not found: {where}. `darkroom serve` creates it at its first start."
        )


def log_briefly() -> None:
    """Have log lines written as plain text."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Brief())
    logging.basicConfig(handlers=[handler])


def load_settings() -> Settings:
    """Read the settings, and have log lines written as plain text."""
    log_briefly()
    return load()


class _Brief(logging.Formatter):
    """Format the message and the error without a traceback."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        return f"  {ei[1]}"
