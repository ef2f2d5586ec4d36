"""Below a path, with the blocks of docs/server.md: every url that the service gives leads back to it."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.proxies.conftest import UPSTREAM, block, caddy_with, nginx_with, running
from tests.running_server import free_port, processed, serving
from tests.samples import encoded

pytestmark = pytest.mark.proxies

#: Settings of the server, and what a ticket's url begins with; {here} is the address of the proxy.
WAYS = {
    "public url": ({"DARKROOM_PUBLIC_URL": "https://www.example.org/pics"}, "https://www.example.org/pics"),
    "trusted proxy": ({"DARKROOM_TRUSTED_PROXIES": "127.0.0.1"}, "{here}/pics"),
    "both": (
        {"DARKROOM_PUBLIC_URL": "https://www.example.org/pics", "DARKROOM_TRUSTED_PROXIES": "127.0.0.1"},
        "https://www.example.org/pics",
    ),
}


@dataclass
class Below:
    """A client of the proxy, and what a ticket's url begins with."""

    client: httpx.Client
    begins: str

    def here(self, url: str) -> str:
        """Return the path of a url of the service."""
        return url.removeprefix("https://www.example.org").removeprefix(str(self.client.base_url))


@pytest.fixture(params=["nginx", "caddy"])
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: see `make test-proxies`")
    return name


@pytest.fixture(params=WAYS)
def below(request: pytest.FixtureRequest, name: str, tmp_path: Path) -> Iterator[Below]:
    """The service below `/pics` of the proxy."""
    settings, begins = WAYS[request.param]
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    with serving(tmp_path / "data", **settings) as server:
        upstream = f"127.0.0.1:{server.port}"
        if name == "nginx":
            location = block("nginx", "# Below a path").replace(UPSTREAM, upstream)
            command = nginx_with(tmp_path, f"server {{\nlisten 127.0.0.1:{port};\n{location}}}")
        else:
            site = block("caddyfile", "# Below a path").replace(UPSTREAM, upstream)
            site = site.replace("www.example.org {", f"{here} {{\n    bind 127.0.0.1")
            command = caddy_with(tmp_path, site)
        with (
            httpx.Client(base_url=here, timeout=60) as client,
            running(command, tmp_path, lambda: client.get("/pics/healthz").status_code == 200),
        ):
            yield Below(client, begins.format(here=here))


def test_every_url_leads_back(below: Below) -> None:
    client = below.client
    spoofed = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil", "Forwarded": "host=evil.example"}
    made = client.post("/pics/upload", files={"file": ("a.jpg", encoded("JPEG", 800, 600))}, headers=spoofed)
    assert made.status_code == 201, made.text
    record = processed(client, made.json())
    assert record["status"] == "ready", record
    assert "evil" not in made.text + str(made.headers)
    assert made.headers["location"] == record["links"]["self"] == f"/pics/images/{record['id']}"
    assert client.get(record["links"]["self"]).json()["id"] == record["id"]
    for url in (
        *(variant["url"] for variant in record["variants"]),
        *re.findall('src="([^"]*)"', record["embed"]["html"]),
    ):
        assert client.get(below.here(url)).headers["content-type"].startswith("image/")
    original = client.get(record["links"]["original"])
    assert client.get(below.here(original.headers["location"])).status_code == 200

    content = encoded("JPEG", 100, 80, seed=2)
    wanted = {"content_type": "image/jpeg", "bytes": len(content)}
    ticket = client.post("/pics/upload/direct", json=wanted, headers=spoofed).json()
    assert ticket["url"].startswith(f"{below.begins}/files/originals/")
    assert client.put(below.here(ticket["url"]), content=content, headers=ticket["headers"]).status_code == 200
    assert processed(client, client.get(f"/pics/images/{ticket['id']}").json())["status"] == "ready"

    page = client.get("/pics/images?limit=1")
    assert client.get(page.links["next"]["url"]).json()["items"][0]["id"] == record["id"]
    assert client.get("/pics/openapi.json").json()["servers"] == [{"url": below.begins}]


def test_the_pages_load_what_they_need(below: Below) -> None:
    client = below.client
    assert client.get("/pics").headers["location"].endswith("/pics/")
    assert "static/page/app.js" in client.get("/pics/").text
    for page in ("/pics/docs", "/pics/redoc"):
        for address in re.findall(r'(?:src|href|spec-url)="([^"]*)"', client.get(page).text):
            assert client.get(f"/pics/{address}").status_code == 200
