"""What the API is made of, handed in by the door, and how a route gets at it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NotRequired, Self, TypedDict, Unpack

from fastapi import Depends, Request

from app.api.bodies.spool import Spools
from app.api.http.forwarded import Network
from app.api.readiness import Probe
from app.domain.access.api_keys import Caller, Keyring
from app.domain.access.signing import Cursors, Signer
from app.domain.images.service import Images
from app.domain.images.urls import UrlSource
from app.domain.limits import MEBIBYTE, Limits
from app.domain.ports import ImageRepository, ObjectStore
from app.domain.reports import RequestReporter, log_report
from app.domain.uploads.grants import LocalStore
from app.domain.uploads.service import Uploads
from app.domain.uploads.tickets import GrantSource, Tickets


class Others(TypedDict):
    """The parts that a door hands in as they are."""

    urls: UrlSource
    checks: Mapping[str, Callable[[], None]]
    files: Callable[[str], Path | None] | None
    version: str
    local: NotRequired[LocalStore | None]
    keyring: NotRequired[Keyring | None]
    cors_origins: NotRequired[tuple[str, ...]]
    public_url: NotRequired[str | None]
    allowed_hosts: NotRequired[tuple[str, ...]]
    trusted_proxies: NotRequired[tuple[Network, ...]]
    own_page_only: NotRequired[bool]
    reporter: NotRequired[RequestReporter]
    max_spool_bytes: NotRequired[int]
    max_waiting: NotRequired[int]


@dataclass(frozen=True)
class Parts:
    """`checks` are named neutrally and raise when their part cannot be reached. `files` finds the file of an object's
    key where objects are files; None where the bytes are served by somebody else. Without `tickets` there is no
    direct upload, without `keyring` no caller is asked for a key. `cors_origins` are the sites whose pages may call.
    `public_url` is the service's own address, `allowed_hosts` are further names of it, and the headers of
    `trusted_proxies` say under which of them a client sees it. With `own_page_only` writes from other sites' pages and
    requests under other names are refused. `reporter` takes a report of each request.
    `max_spool_bytes` is the temporary space of all uploads in progress, `max_waiting` how many requests may wait for
    images at once."""

    store: ObjectStore
    uploads: Uploads
    images: Images
    limits: Limits
    urls: UrlSource
    cursors: Cursors
    checks: Mapping[str, Callable[[], None]]
    files: Callable[[str], Path | None] | None
    version: str
    tickets: Tickets | None = None
    local: LocalStore | None = None
    keyring: Keyring | None = None
    cors_origins: tuple[str, ...] = ()
    public_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    own_page_only: bool = False
    reporter: RequestReporter = log_report
    max_spool_bytes: int = 1024 * MEBIBYTE
    max_waiting: int = 1000

    @classmethod
    def over(
        cls,
        store: ObjectStore,
        images: ImageRepository,
        signer: Signer,
        *,
        limits: Limits,
        grants: GrantSource,
        **others: Unpack[Others],
    ) -> Self:
        """The parts over these backends."""
        return cls(
            store=store,
            uploads=Uploads(store, images),
            images=Images(store, images),
            limits=limits,
            cursors=Cursors(signer),
            tickets=Tickets(images, grants, limits, store),
            **others,
        )


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


async def _probe(request: Request) -> Probe:
    probe: Probe = request.app.state.probe
    return probe


async def _spools(request: Request) -> Spools:
    spools: Spools = request.app.state.spools
    return spools


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _owner(request: Request) -> str:
    return (await _caller(request)).owner


async def _sees(request: Request) -> str | None:
    return (await _caller(request)).visible_owner


async def _base(request: Request) -> str:
    base: str = request.scope.get("root_path", "")
    return base.rstrip("/")


Handed = Annotated[Parts, Depends(_parts)]
#: The readiness of the parts, for all requests together.
ProbeDep = Annotated[Probe, Depends(_probe)]
#: The temporary space of all uploads in progress.
SpoolsDep = Annotated[Spools, Depends(_spools)]
#: Who makes the request.
Calling = Annotated[Caller, Depends(_caller)]
#: Whose images the caller's uploads become.
Owner = Annotated[str, Depends(_owner)]
#: Whose images there are for the caller; None for everybody's.
Sees = Annotated[str | None, Depends(_sees)]
#: The path prefix that a gateway has put before ours.
Base = Annotated[str, Depends(_base)]
