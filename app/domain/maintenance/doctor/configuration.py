"""Checks of settings that are valid, and seldom meant."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from app.domain.configuration.hosts import is_loopback
from app.domain.configuration.model import Settings
from app.domain.maintenance.doctor.findings import Problem
from app.domain.quota.usage import Quota

#: Addresses in a network above which nearly everybody counts as a proxy.
_MANY_ADDRESSES = 2**24


def check_access(settings: Settings) -> Iterator[Problem]:
    """Check that the service is not open to more callers than expected."""
    if settings.auth == "none" and _is_open(settings):
        yield Problem(
            "open_to_everybody",
            "everybody who can connect may upload, change and delete images",
            "set DARKROOM_AUTH=required and DARKROOM_API_KEYS (`darkroom key create`)",
        )
    if settings.auth == "none" and not settings.rate_limit and _is_open(settings):
        yield Problem(
            "no_rate_limit",
            "one caller can send any number of requests, which takes the service from the others",
            "set DARKROOM_RATE_LIMIT, such as 20 requests a second",
        )
    if settings.auth == "none" and "*" in settings.allowed_hosts:
        yield Problem(
            "any_host",
            "DARKROOM_ALLOWED_HOSTS has `*`, so pages of other sites can reach the service by DNS rebinding",
            "list the host names of the service",
        )
    if settings.auth == "none" and "*" in settings.fetch_hosts:
        yield Problem(
            "fetch_any_host",
            "DARKROOM_FETCH_HOSTS has `*`, so everybody who can connect can have any public url requested",
            "list the hosts of the images, or set DARKROOM_AUTH=required",
        )
    if settings.previous_secret is not None or (
        settings.self_hosted and (settings.data_folder / "secret.previous").exists()
    ):
        yield Problem(
            "previous_secret",
            "a previous secret still verifies urls",
            "unset DARKROOM_PREVIOUS_SECRET or delete `secret.previous` once its urls may end",
        )
    if settings.cdn_url and not settings.cdn_distribution:
        yield Problem(
            "cdn_keeps_hidden",
            "images that are hidden or deleted stay in the caches of the CDN for up to a day",
            "set DARKROOM_CDN_DISTRIBUTION",
        )


def check_quotas(settings: Settings) -> Iterator[Problem]:
    """Check that the largest image fits into the quotas of an owner, and of each key in the settings."""
    default = Quota(settings.quota_bytes or None, settings.quota_images or None)
    whose = [("DARKROOM_QUOTA_BYTES", default)]
    whose += [(f"quota_bytes of a key of {key.owner}", key.own_limits.quota(default)) for key in settings.api_keys]
    for name, quota in dict(whose).items():
        if quota.bytes is not None and quota.bytes < settings.max_upload_bytes:
            yield Problem(
                "quota_below_image",
                f"{name} is {quota.bytes:,} bytes, and an image may have {settings.max_upload_bytes:,}: the largest "
                "ones never fit",
                "raise the quota, or lower DARKROOM_MAX_UPLOAD_BYTES",
            )
            return


def _is_open(settings: Settings) -> bool:
    """Return True if others than this machine can connect, also by a proxy."""
    if not settings.self_hosted or not is_loopback(settings.host):
        return True
    return not is_loopback(urlsplit(settings.public_url or "//localhost").hostname or "")


def _is_behind_proxy(settings: Settings) -> bool:
    """Return True if the public address is not that of the server itself, which has no TLS."""
    address = urlsplit(settings.public_url or "")
    port = address.port or {"http": 80, "https": 443}.get(address.scheme)
    return address.scheme == "https" or (bool(address.scheme) and port != settings.port)


def check_addresses(settings: Settings) -> Iterator[Problem]:
    """Check proxies and the public address."""
    if settings.self_hosted and settings.rate_limit and not settings.trusted_proxies and _is_behind_proxy(settings):
        yield Problem(
            "rate_limit_of_proxy",
            f"DARKROOM_PUBLIC_URL is {settings.public_url}, so a proxy forwards requests, and DARKROOM_RATE_LIMIT "
            "counts all callers without a key as one: the proxy",
            "set DARKROOM_TRUSTED_PROXIES to the address of the proxy",
        )
    for network in settings.trusted_proxies:
        if network.num_addresses > _MANY_ADDRESSES:
            yield Problem(
                "proxies_everybody",
                f"DARKROOM_TRUSTED_PROXIES has {network}: callers there can claim any address, host and scheme",
                "list the addresses of the proxies alone",
            )
    address = urlsplit(settings.public_url or "")
    if address.scheme == "http" and not is_loopback(address.hostname or ""):
        yield Problem(
            "public_url_insecure",
            f"DARKROOM_PUBLIC_URL is {settings.public_url}: keys and images pass unencrypted",
            "serve it by a reverse proxy with TLS, and set the https:// address",
        )
    is_shared = not is_loopback(settings.host) or bool(settings.trusted_proxies)
    if settings.self_hosted and is_shared and settings.public_url is None:
        yield Problem(
            "urls_relative",
            "DARKROOM_PUBLIC_URL is not set, so records have relative urls that do not work on other sites",
            "set DARKROOM_PUBLIC_URL to the address that clients use",
        )
