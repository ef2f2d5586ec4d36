"""A new secret: what the previous one has signed stays valid, until it is removed."""

from typing import Any

import httpx

from app.api.app import Services, create_app
from app.domain.access.file_seal import FileSeal
from app.domain.access.signing import Signer
from app.domain.images.urls import ServedFiles
from app.domain.uploads.grants import LocalStore, ServedGrants
from tests.api.client import self_hosted_client
from tests.api.service import Service

OLD, NEW = b"the secret that signed before", b"the secret that signs from now on"
CONTENT = b"\xff\xd8\xff"


def client_with(service: Service, signer: Signer) -> httpx.Client:
    """Return a client of the same installation, started with another signer."""
    services: Services = service.app.state.services
    grants, seal = ServedGrants(signer), FileSeal(signer)
    local = LocalStore(service.side.store, grants, seal)
    changed = services._replace(signer=signer, grants=grants, local=local, urls=ServedFiles(seal))
    return self_hosted_client(create_app(changed))


def test_everything_that_the_previous_secret_has_signed_stays_valid(self_hosted: Service) -> None:
    image = self_hosted.place()
    self_hosted.place(seed=1)
    before = client_with(self_hosted, Signer(OLD))
    record = before.get(f"/images/{image.id}")
    ticket: dict[str, Any] = before.post("/upload/direct", json={"bytes": 3, "content_type": "image/jpeg"}).json()
    signed = {
        "variant": record.json()["variants"][0]["url"],
        "original": before.get(f"/images/{image.id}/original").headers["location"],
        "share link": before.post(f"/images/{image.id}/share").json()["url"],
        "cursor": "/images?limit=1&cursor=" + before.get("/images?limit=1").json()["next_cursor"],
    }
    tagged = {"if-none-match": record.headers["etag"]}

    rotated, removed = client_with(self_hosted, Signer(NEW, [OLD])), client_with(self_hosted, Signer(NEW))
    for kind, url in signed.items():
        assert before.get(url).status_code == rotated.get(url).status_code < 400, kind
        assert removed.get(url).status_code == (400 if kind == "cursor" else 403), kind
    assert before.get(f"/images/{image.id}", headers=tagged).status_code == 304
    fresh = rotated.get(f"/images/{image.id}", headers=tagged)
    assert fresh.status_code == 200, "its urls are signed with another key"
    assert removed.get(fresh.json()["variants"][0]["url"]).status_code == 200

    refused = removed.put(ticket["url"], content=CONTENT, headers=ticket["headers"])
    assert (refused.status_code, refused.json()["code"]) == (403, "bad_signature")
    assert rotated.put(ticket["url"], content=CONTENT, headers=ticket["headers"]).status_code == 200
