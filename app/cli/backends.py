"""The stores of operator commands."""

import logging
from typing import Any

from app.bootstrap import Backends, open_backends
from app.domain.errors import ConfigurationError
from app.settings import Settings, load


def open_existing() -> tuple[Settings, Backends]:
    """Open the stores that the environment names. A data folder that does not exist is an error: a new one would have
    nothing to repair, and would hide a wrong setting."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Brief())
    logging.basicConfig(handlers=[handler])
    settings = load()
    if settings.embedded and not settings.data_folder.is_dir():
        raise ConfigurationError(f"DARKROOM_STORAGE_URL: there is no folder {settings.data_folder}")
    return settings, open_backends(settings)


class _Brief(logging.Formatter):
    """The message and the error, without the traceback."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        return f"  {ei[1]}"
