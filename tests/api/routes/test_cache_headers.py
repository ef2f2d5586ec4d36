"""The table of cache headers in docs/server.md is what the server answers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.models import Visibility
from tests.api.service import Service, service_on
from tests.repository.tree import ROOT

TABLE = dict(
    re.findall(
        r"^\| (.+?) \| `([^|`]+)` \|$",
        (ROOT / "docs" / "server.md").read_text().partition("<!-- cache headers")[2].partition("\n\n")[0],
        re.MULTILINE,
    )
)


def told(route: str) -> str:
    """Return the row of a route."""
    (found,) = [header for routes, header in TABLE.items() if f"`{route}`" in routes]
    return found


@pytest.fixture
def self_hosted(tmp_path: Path) -> Iterator[Service]:
    with service_on("self-hosted", tmp_path) as service:
        yield service


def test_each_route_sends_the_headers_of_the_table(self_hosted: Service) -> None:
    image = self_hosted.place()
    public = self_hosted.place(seed=1, visibility=Visibility.PUBLIC)
    get = self_hosted.client.get
    variant = get(f"/images/{image.id}/variants/w320.webp", follow_redirects=False)
    shared = self_hosted.client.post(f"/images/{image.id}/share")
    original = get(f"/images/{image.id}/original", follow_redirects=False)
    answers = {
        "/images": get("/images"),
        "/images/{image_id}": get(f"/images/{image.id}"),
        "/images/{image_id}/original": original,
        "/images/{image_id}/variants/{name}": variant,
        "/images/{image_id}/share": shared,
        "/shared/…": get(shared.json()["url"], follow_redirects=False),
        "/images/edit": self_hosted.client.post("/images/edit", json={"ids": ["x"], "add_tags": []}),
        "/images/lookup": self_hosted.client.post("/images/lookup", json={"sha256": ["0" * 64]}),
        "/limits": get("/limits"),
        "/healthz": get("/healthz"),
        "/readyz": get("/readyz"),
        "/openapi.json": get("/openapi.json"),
        "/files/originals/…": get(original.headers["location"]),
        "/upload/direct": self_hosted.client.post("/upload/direct", json={"content_type": "image/jpeg", "bytes": 9}),
        "/upload": self_hosted.client.post("/upload?filename=a.jpg", content=self_hosted.original(image.id),
                                        headers={"Content-Type": "image/jpeg"}),
    }  # fmt: skip
    found = {route: answer.headers.get("cache-control") for route, answer in answers.items()}
    assert found == {route: told(route) for route in answers}
    found = get(f"/images/{public.id}/variants/w320.webp", follow_redirects=False)
    assert found.headers["cache-control"] == TABLE["the same of a public image"]
    file = get(found.headers["location"])
    assert file.headers["cache-control"] == told("/files/processed/public/…")
    signed = get(variant.headers["location"]).headers["cache-control"]
    assert re.sub(r"\d+", "<seconds that the url is valid>", signed) == TABLE["other files in `/files/processed/…`"]
    assert get("/images/none").headers["cache-control"] == TABLE["every other problem document"]
