"""The OpenAPI document passes linters, and a generated client uploads in every way."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.access.api_keys import Scope, new_key
from tests.running_server import Server, serving
from tests.samples import encoded

HERE = Path(__file__).parent
#: Installed by `make test-openapi` from `package-lock.json`.
MODULES = Path(__file__).parents[2] / ".cache" / "openapi" / "node_modules"
KEY, ENTRY = new_key("ann", [Scope.UPLOAD, Scope.READ, Scope.EDIT, Scope.DELETE])

pytestmark = [
    pytest.mark.openapi,
    pytest.mark.skipif(not MODULES.is_dir(), reason="the tools are not installed here: `make test-openapi` does it"),
]


def run(folder: Path, program: str, *arguments: str) -> str:
    """Run a program of the installed packages in a folder; return its output, or fail with it."""
    command = [str(MODULES / ".bin" / program), *arguments]
    environment = os.environ | {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "true"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["keyless", "keys", "prefix"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Servers with and without API keys, whose documents differ."""
    settings = {
        "keyless": {},
        "keys": {"DARKROOM_AUTH": "required", "DARKROOM_API_KEYS": str(ENTRY)},
        "prefix": {"DARKROOM_PUBLIC_URL": "https://img.example.org/pics", "DARKROOM_ALLOWED_HOSTS": "nas.local"},
    }
    with serving(tmp_path_factory.mktemp("openapi") / "data", **settings[request.param]) as running:
        yield running


@pytest.fixture
def described(server: Server, tmp_path: Path) -> Path:
    """Folder with the document as the server sends it."""
    description = server.client.get("/openapi.json").json()
    (tmp_path / "openapi.json").write_text(json.dumps(description, indent=1))
    return tmp_path


def test_redocly_reports_no_problem(described: Path) -> None:
    run(described, "redocly", "lint", "openapi.json", "--config", str(HERE / "redocly.yaml"))


def test_spectral_reports_no_problem(described: Path) -> None:
    options = ("--fail-severity", "hint", "--ruleset", str(HERE / "spectral.yaml"))
    run(described, "spectral", "lint", "openapi.json", *options)


def test_a_generated_client_uploads_in_every_way(server: Server, described: Path, tmp_path: Path) -> None:
    description = json.loads((described / "openapi.json").read_text())
    keys = "securitySchemes" in description["components"]
    for name in ("client.ts", "tsconfig.json"):
        shutil.copy(HERE / name, tmp_path / name)
    (tmp_path / "node_modules").symlink_to(MODULES)
    run(tmp_path, "openapi-ts", "-i", "openapi.json", "-o", "generated", "-c", "@hey-api/client-fetch")
    run(tmp_path, "tsc", "-p", ".")

    picture = tmp_path / "picture.png"
    picture.write_bytes(encoded("PNG", 64, 48, seed=5))
    command = ["node", "built/client.js", server.url, str(picture), *([KEY] if keys else [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    records = found["records"]
    for way, record in records.items():
        assert (record["filename"], record["title"]) == ("é.png", "Ä title"), way
        assert record["tags"] == ["a", "b", "c"], way
        assert (record["metadata"], record["focal_point"]) == ({"album": "7"}, {"x": 0.25, "y": 0.5}), way
        assert record["bytes"] == picture.stat().st_size
        assert record["owner"] == ("ann" if keys else "anonymous")
    assert len({record["id"] for record in records.values()}) == len(records)
    assert found["status"] == "ready"
    assert found["limits"]["max_pixels"] > 0
    assert (found["listed"], found["deleted"], found["code"]) == (2, 204, "image_not_found")
    assert found["urls"]
    edited = found["edited"]
    assert (edited["title"], edited["metadata"], edited["focal_point"]) == (None, {"set": "x"}, {"x": 0.25, "y": 1.0})
    assert [result["status"] for result in found["many"]["results"]] == [200, 404]


def test_security_schemes_are_described_only_with_keys(server: Server, described: Path) -> None:
    description = json.loads((described / "openapi.json").read_text())
    asks = server.client.get("/images").status_code == 401
    assert ("securitySchemes" in description["components"]) == asks
    opened = {"/limits", "/healthz", "/readyz"}
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert bool(operation["security"]) == (asks and path not in opened), path
    prefix = next((url for url in ("https://img.example.org/pics",) if url in str(description["servers"])), None)
    assert description["servers"] == [{"url": prefix or server.url}]
