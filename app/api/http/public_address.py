"""Public address of the service: the host, scheme and path prefix that a request's client used."""

from typing import NamedTuple

from starlette.types import Scope

#: Keys in the state of a request.
ADDRESS = "public_address"
GATEWAY_HOST = "gateway_host"


class PublicAddress(NamedTuple):
    """Address of the service as the client of a request sees it.

    `host` is the requested host, if known. `origin` is the scheme and host of absolute urls; None if they are not
    certain. `foreign` is the name and value of the first header that names a host which is not allowed.
    """

    host: str | None
    origin: str | None
    foreign: tuple[str, str] | None


def get_public_address(scope: Scope) -> PublicAddress:
    """Return the address that `ResolveAddress` found for the request."""
    address: PublicAddress = scope["state"][ADDRESS]
    return address


class BasePath(str):
    """Path prefix of the service, and its `origin` if it is certain."""

    origin: str | None = None

    @property
    def absolute(self) -> str:
        """Beginning of absolute urls; the path alone if the origin is not certain."""
        return f"{self.origin or ''}{self}"


def get_base_path(scope: Scope) -> BasePath:
    """Return the path prefix of the service, as the client of a request sees it."""
    base_path = BasePath(scope.get("root_path", "").rstrip("/"))
    base_path.origin = get_public_address(scope).origin
    return base_path


def absolute_url(scope: Scope, path: str) -> str:
    """Return the url of a path of this service: absolute if the public address is known, else relative to the host."""
    return f"{get_public_address(scope).origin or ''}{scope.get('root_path', '')}{path}"


def set_gateway_host(scope: Scope, host: str) -> None:
    """Store the host name of a gateway. It comes from the gateway's event, not from the client."""
    scope["state"][GATEWAY_HOST] = host
