"""Service under test: the API with real adapters, and access to what is behind it."""

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from app.adapters.s3.urls import PresignedUrls
from app.api.app import Services, create_app
from app.api.middleware.gateway import Gateway
from app.domain.keys import original_key, variant_key
from app.domain.limits import Limits
from app.domain.models import ANONYMOUS, Format, Image, Status, Variant, Visibility, utcnow
from app.domain.ports import ListQuery
from app.domain.uploads.grants import LocalStore, ServedGrants
from app.domain.uploads.requests import Upload
from app.domain.uploads.service import Uploads
from app.domain.work import Task
from tests.api.client import lambda_client, self_hosted_client
from tests.samples import encoded
from tests.sides import SIDES, SIGNER, Side

RENDERING = "abcdef012345"
LIMITS = Limits(max_upload_bytes=300_000)
CDN = "https://d1.cloudfront.net"


@dataclass
class Service:
    """Application with its backends (`side`) and a client. `below(prefix)` makes a client below a path prefix."""

    side: Side
    app: FastAPI
    client: httpx.Client
    scratch: Path
    temporary: tuple[Path, ...]
    below: Callable[[str], httpx.Client]
    limits: Limits = field(default_factory=lambda: LIMITS)

    @property
    def self_hosted(self) -> bool:
        """True if the application is self-hosted and serves `/files/`."""
        return self.side.fetch is None

    def fetch(self, url: str) -> httpx.Response:
        """Get the url of a file."""
        return self.client.get(url) if self.side.fetch is None else self.side.fetch(url)

    def show(self, url: str, **headers: str) -> httpx.Response:
        """Get a url and follow its redirects, as a browser does that has no API key."""
        while True:
            is_own = url.startswith(("/", str(self.client.base_url)))
            answer = self.client.get(url, headers=headers) if is_own else self.fetch(url)
            if not answer.is_redirect:
                return answer
            url = answer.headers["location"]

    def left_behind(self) -> list[str]:
        """List everything that an upload could leave: objects, records, events and temporary files."""
        page = self.side.images.list(ListQuery(owner=ANONYMOUS, limit=200))
        return [
            *sorted(self.side.objects()),
            *(f"record {image.id}" for image in page.items),
            *(f"unfinished {image_id}" for image_id in self.side.unfinished()),
            *(f"event {message.body}" for message in self.side.queue.receive()),
            *(f"temporary {path.name}" for folder in self.temporary for path in folder.iterdir()),
        ]

    def place(
        self,
        status: Status = Status.READY,
        seed: int = 0,
        owner: str = ANONYMOUS,
        visibility: Visibility = Visibility.PRIVATE,
        *,
        keep_duplicate: bool = False,
        **fields: Any,
    ) -> Image:
        """Create an image through the ports, with variants if it is ready."""
        body = encoded(seed=seed)
        upload = Upload(io.BytesIO(body), len(body), f"{seed:064x}", "image/jpeg", filename="photo.jpg")
        image = Uploads(self.side.store, self.side.images).accept(owner, upload, keep_duplicate=keep_duplicate).image
        changes: dict[str, Any] = {"status": status, "processed_at": utcnow(), "visibility": visibility, **fields}
        if status is not Status.PENDING:
            changes["work"] = {Task.PROCESS: None}
        if status is Status.READY:
            changes |= {"width": 64, "height": 48} | self.render(image.id, RENDERING, visibility)
        return self.side.images.update(image.id, image.version, changes)

    def render(self, image_id: str, rendering_id: str, visibility: Visibility) -> dict[str, Any]:
        """Store variants, and return the fields of the record that describe them."""
        made = []
        shapes = {
            "thumb": (16, 16, (Format.WEBP,)),
            "w320": (32, 24, (Format.WEBP,)),
            "w1280": (64, 48, (Format.WEBP, Format.JPEG)),
        }
        for name, (width, height, formats) in shapes.items():
            for form in formats:
                content = encoded(form.value.upper(), width, height)
                file = f"{name}.{form.extension}"
                key = variant_key(image_id, rendering_id, file, public=visibility is Visibility.PUBLIC)
                self.side.store.put(key, io.BytesIO(content), size=len(content), content_type=form.media_type)
                made.append(Variant(name=name, format=form, width=width, height=height, bytes=len(content), file=file))
        return {"rendering_id": rendering_id, "variants": made, "placed": visibility}

    def original(self, image_id: str) -> bytes:
        """Return the bytes of the stored original."""
        with self.side.store.open(original_key(image_id)) as stream:
            return stream.read()


def make_services(
    side: Side, limits: Limits = LIMITS, checks: Mapping[str, Callable[[], None]] | None = None, **changes: Any
) -> Services:
    """Build the services as an entry point does for these backends."""
    services: dict[str, Any] = {
        "store": side.store,
        "repository": side.images,
        "idempotency_keys": side.idempotency_keys,
        "key_store": side.key_store,
        "webhook_adapters": side.webhooks,
        "queue": side.queue,
        "counters": side.counters,
        "renderings": side.renderings,
        "signer": SIGNER,
        "limits": limits,
        "grants": side.grants,
        "urls": side.urls,
        "local": LocalStore(side.store, side.grants, side.seal) if isinstance(side.grants, ServedGrants) else None,
        "checks": {"storage": side.store.ping, "records": side.images.ping} if checks is None else checks,
        "files": getattr(side.store, "path", None),
        "version": "0.0.0",
    }
    return Services(**services | changes)


@contextmanager
def service_on(name: str, folder: Path, **changes: Any) -> Iterator[Service]:
    """Run the API on the named backends, with its temporary files in a separate folder."""
    scratch = folder / "scratch"
    scratch.mkdir()
    with SIDES[name](folder / "data") as side:
        before, tempfile.tempdir = tempfile.tempdir, str(scratch)  # running engines keep their folder
        try:
            app = create_app(make_services(side, **changes))
            below = partial(self_hosted_client, app) if side.fetch is None else partial(lambda_client, Gateway(app))
            with below() as client:
                own = (folder / "data" / "tmp",) if side.fetch is None else ()
                yield Service(side, app, client, scratch, (scratch, *own), below)
        finally:
            tempfile.tempdir = before


def use_cdn(service: Service) -> None:
    """Put a CDN before the bucket of a running service."""
    services: Services = service.app.state.services
    assert isinstance(services.urls, PresignedUrls)
    service.app.state.services = services._replace(urls=PresignedUrls(services.urls._presigner, CDN))
