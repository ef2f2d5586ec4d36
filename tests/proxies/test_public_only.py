"""A server without API keys behind a proxy that forwards variants of public images only, as docs/server.md shows it."""

import shutil
from pathlib import Path

import httpx
import pytest

from tests.proxies.conftest import NAME, UPSTREAM, block, caddy_with, running
from tests.running_server import free_port, processed, serving
from tests.samples import encoded

pytestmark = pytest.mark.proxies


def test_nothing_but_public_variants_is_reachable(tmp_path: Path) -> None:
    if shutil.which("caddy") is None:
        pytest.skip("caddy is not installed: see `make test-proxies`")
    here = f"http://127.0.0.1:{free_port()}"
    with serving(tmp_path / "data") as server, httpx.Client(base_url=here, timeout=60) as outside:
        public, private = (
            processed(
                server.client,
                server.client.post(
                    "/upload",
                    files={"file": ("a.jpg", encoded("JPEG", 400, 300, seed=seed))},
                    data={"visibility": visibility},
                ).json(),
            )
            for seed, visibility in enumerate(("public", "private"))
        )
        site = block("caddyfile", "# Variants of public images").replace(UPSTREAM, f"127.0.0.1:{server.port}")
        site = site.replace(f"{NAME} {{", f"{here} {{\n    bind 127.0.0.1")
        shown = public["variants"][0]["url"]
        with running(caddy_with(tmp_path, site), tmp_path, lambda: outside.get(shown).status_code == 200):
            original = server.client.get(public["links"]["original"], follow_redirects=False).headers["location"]
            for path in (
                private["variants"][0]["url"], original, public["links"]["self"], public["links"]["original"],
                f"/images/{public['id']}/variants/thumb", "/images", "/upload", "/docs", "/", "/files/processed/",
                shown.replace("/public/", "/public/../"),
            ):  # fmt: skip
                assert outside.get(path).status_code == 404, path
