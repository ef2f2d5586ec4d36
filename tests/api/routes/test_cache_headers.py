"""The table of cache headers in docs/server.md is what the server answers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.models import Status
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
    image = self_hosted.place(Status.READY)
    get = self_hosted.client.get
    record = get(f"/images/{image.id}").json()
    variant = get(f"/images/{image.id}/variants/w320.webp", follow_redirects=False)
    original = get(f"/images/{image.id}/original", follow_redirects=False)
    answers = {
        "/images": get("/images"),
        "/images/{image_id}": get(f"/images/{image.id}"),
        "/images/{image_id}/original": original,
        "/images/{image_id}/variants/{name}": variant,
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
    file = get(record["variants"][0]["url"])
    assert file.headers["cache-control"] == TABLE["`/files/processed/…` without keys"]
    assert get("/images/none").headers["cache-control"] == TABLE["every problem document"]
