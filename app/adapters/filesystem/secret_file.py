"""Secrets in files of the data folder."""

import contextlib
import os
import secrets
from pathlib import Path

from app.adapters.filesystem.durable import sync_folders
from app.domain.errors import ConfigurationError


def read_secret(file: Path) -> bytes:
    """Return the secret in the data folder; create it at the first start."""
    if not file.exists():
        fresh = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_hex(32))
                handle.flush()
                os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):  # of two first starts, one secret wins
                os.link(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folders([file.parent])
    return check_secret(file)


def check_secret(file: Path) -> bytes:
    """Return the secret in an existing file. Raises `ConfigurationError` if it is too short."""
    secret = file.read_bytes().strip()
    if len(secret) < 16:
        raise ConfigurationError(f"{file} holds no secret of at least 16 bytes. Delete the file to start without it")
    return secret
