"""Settings that do not go together."""

from collections.abc import Mapping
from typing import Any

from app.domain.configuration.hosts import is_loopback
from app.domain.limits import MEBIBYTE

_ONLY_WITH_FILES = {
    "allow_private_addresses": "DARKROOM_ALLOW_PRIVATE_ADDRESSES: only with file:. Unset it; with s3:// it would open "
    "the network of the functions to callers",
}
_ONLY_ON_AWS = {
    "cdn_url": "DARKROOM_CDN_URL: only with s3://. Unset it; with file: this server serves the variants",
    "webhook_queue_url": "DARKROOM_WEBHOOK_QUEUE_URL: only with s3://. Unset it; with file: webhooks need no queue",
    "render_function": "DARKROOM_RENDER_FUNCTION: only with s3://. Unset it; with file: the worker renders sizes",
}


def find_conflicts(settings: Mapping[str, Any]) -> list[tuple[set[str], str]]:
    """Return each conflict between settings: the fields involved, and a sentence."""
    found: list[tuple[set[str], str]] = []
    schemes = (settings["storage_url"].partition(":")[0], settings["database_url"].partition(":")[0])
    if schemes not in {("file", "sqlite"), ("s3", "dynamodb")}:
        sentence = (
            f"DARKROOM_STORAGE_URL ({schemes[0]}:) and DARKROOM_DATABASE_URL ({schemes[1]}:) do not go together: "
            "use file: with sqlite:, or s3:// with dynamodb://"
        )
        found.append(({"storage_url", "database_url"}, sentence))
    if schemes[0] == "s3" and not settings["queue_url"]:
        found.append(
            (
                {"storage_url", "queue_url"},
                "DARKROOM_QUEUE_URL: must be set with s3://, to the queue of the bucket's events",
            )
        )
    if schemes[0] == "file" and settings["queue_url"]:
        sentence = (
            "DARKROOM_STORAGE_URL (file:) and DARKROOM_QUEUE_URL do not go together: unset the queue, or use s3://"
        )
        found.append(({"storage_url", "queue_url"}, sentence))
    misplaced = _ONLY_ON_AWS if schemes[0] == "file" else _ONLY_WITH_FILES
    found += [({"storage_url", field}, sentence) for field, sentence in misplaced.items() if settings[field]]
    if settings["cdn_distribution"] and not settings["cdn_url"]:
        sentence = "DARKROOM_CDN_DISTRIBUTION: only with DARKROOM_CDN_URL. Set the address of the distribution too"
        found.append(({"cdn_distribution", "cdn_url"}, sentence))
    if settings["max_spool_mb"] * MEBIBYTE < settings["max_upload_bytes"]:
        sentence = "DARKROOM_MAX_SPOOL_MB: must be at least DARKROOM_MAX_UPLOAD_BYTES"
        found.append(({"max_spool_mb", "max_upload_bytes"}, sentence))
    if settings["memory_budget_mb"] and settings["memory_budget_mb"] < settings["processing_memory_mb"]:
        sentence = "DARKROOM_MEMORY_BUDGET_MB: must be at least DARKROOM_PROCESSING_MEMORY_MB"
        found.append(({"memory_budget_mb", "processing_memory_mb"}, sentence))
    if settings["auth"] == "none" and settings["api_keys"]:
        found.append(({"auth", "api_keys"}, "DARKROOM_AUTH: must be `required` when DARKROOM_API_KEYS is set"))
    if settings["auth"] == "none" and not settings["allow_anonymous"] and not is_loopback(settings["host"]):
        sentence = (
            f"DARKROOM_HOST: {settings['host']} is reachable from other machines, and no API key is required. Set "
            "DARKROOM_AUTH=required and create keys with `darkroom key create`, or DARKROOM_ALLOW_ANONYMOUS=true to "
            "admit everybody who can connect"
        )
        found.append(({"auth", "allow_anonymous", "host"}, sentence))
    return found
