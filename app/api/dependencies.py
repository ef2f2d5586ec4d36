"""FastAPI dependencies that give routes the services, the caller and the address of a request."""

from typing import Annotated

from fastapi import Depends, Request

from app.api.http.public_address import BasePath, get_base_path
from app.api.services import Services
from app.domain.access.api_keys import Caller


def get_services(request: Request) -> Services:
    """Return the services of the application."""
    services: Services = request.app.state.services
    return services


def get_admitted(request: Request) -> Caller:
    """Return the caller of a request to a route that needs one."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


# Coroutines, because FastAPI calls other functions in a thread.


async def _services(request: Request) -> Services:
    return get_services(request)


async def _caller(request: Request) -> Caller:
    return get_admitted(request)


async def _visible_owner(request: Request) -> str | None:
    return get_admitted(request).visible_owner


async def _base_path(request: Request) -> BasePath:
    return get_base_path(request.scope)


ServicesDep = Annotated[Services, Depends(_services)]
CallerDep = Annotated[Caller, Depends(_caller)]
#: Owner whose images the caller may see; None for all owners.
VisibleOwnerDep = Annotated[str | None, Depends(_visible_owner)]
#: Path prefix that a proxy or gateway puts before the service's own paths.
BasePathDep = Annotated[BasePath, Depends(_base_path)]
