"""Composition root: from settings to adapters. Those of one side, and their SDK, are imported only where it is used."""

from app.bootstrap.backends import ApiBackends, Backends
from app.bootstrap.values import LAMBDA_JSON_BYTES, LAMBDA_UPLOAD_BYTES, build_limits, build_signer, visibility_seconds
from app.settings import Settings

__all__ = [
    "LAMBDA_JSON_BYTES",
    "LAMBDA_UPLOAD_BYTES",
    "ApiBackends",
    "Backends",
    "build_limits",
    "build_signer",
    "open_backends",
    "visibility_seconds",
]


def open_backends(settings: Settings) -> Backends:
    """Open the adapters. Raises `ConfigurationError` if they cannot be opened."""
    if settings.self_hosted:
        from app.bootstrap.self_hosted import open_self_hosted

        return open_self_hosted(settings)
    from app.bootstrap.aws import open_aws

    return open_aws(settings)
