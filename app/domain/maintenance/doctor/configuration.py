"""Checks of settings that are valid, and seldom meant."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from app.domain.configuration.hosts import is_loopback
from app.domain.configuration.model import Settings
from app.domain.maintenance.doctor.findings import Problem

#: Addresses in a network above which nearly everybody counts as a proxy.
_MANY_ADDRESSES = 2**24


def check_access(settings: Settings) -> Iterator[Problem]:
    """Check that the service is not open to more callers than expected."""
    if settings.auth == "none" and not (settings.self_hosted and is_loopback(settings.host)):
        yield Problem(
            "open_to_everybody",
            "everybody who can connect may upload, change and delete images",
            "set DARKROOM_AUTH=required and DARKROOM_API_KEYS (`darkroom key create`)",
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


def check_addresses(settings: Settings) -> Iterator[Problem]:
    """Check proxies and the public address."""
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
