"""Modules for pages of other sites: CORS and cache headers, size, and types that agree with them."""

import re
from pathlib import Path

import pytest

from app.api.routes.pages import PUBLIC_MODULES
from tests.api.service import Service, service_on
from tests.repository.tree import ROOT

STATIC = ROOT / "app" / "api" / "static"
FILES = [f"{name}{suffix}" for name in PUBLIC_MODULES for suffix in (".js", ".d.ts")]
STRANGER = {"Origin": "https://shop.example"}


@pytest.mark.parametrize("name", FILES)
def test_pages_of_all_sites_may_load_a_module(service: Service, name: str) -> None:
    answer = service.client.get(f"/static/{name}", headers=STRANGER)
    assert (answer.status_code, answer.text) == (200, (STATIC / name).read_text())
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert "access-control-allow-credentials" not in answer.headers
    kind = "text/javascript" if name.endswith(".js") else "text/plain"
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"


def test_a_revalidated_module_is_readable_too(service: Service) -> None:
    first = service.client.get("/static/client.js")
    again = service.client.get("/static/client.js", headers={**STRANGER, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["access-control-allow-origin"] == "*"
    assert again.headers["cache-control"] == first.headers["cache-control"]


@pytest.mark.parametrize("path", ["/static/page/app.js", "/static/docs.js", "/static/missing.js", "/limits", "/"])
def test_nothing_else_is_for_other_sites(service: Service, path: str) -> None:
    assert "access-control-allow-origin" not in service.client.get(path, headers=STRANGER).headers


def test_listed_and_other_origins_load_a_module(side_name: str, tmp_path: Path) -> None:
    listed = "https://www.example.org"
    with service_on(side_name, tmp_path, cors_origins=(listed,)) as made:
        answers = [made.client.get("/static/client.js", headers=headers) for headers in ({"Origin": listed}, STRANGER)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["access-control-allow-origin"] in {listed, "*"}
    assert answers[1].headers["access-control-allow-origin"] == "*"


def test_the_client_is_small() -> None:
    assert (STATIC / "client.js").stat().st_size <= 3000


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_a_module_loads_files_next_to_it_only(name: str) -> None:
    text = (STATIC / f"{name}.js").read_text()
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []
    assert set(re.findall(r'from "([^"]+)"', text)) <= {"./client.js"}


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_the_types_name_what_a_module_exports(name: str) -> None:
    pattern = r"^export (?:async )?(?:class|function|const) (\w+)"
    exported = re.findall(pattern, (STATIC / f"{name}.js").read_text(), re.MULTILINE)
    assert exported
    assert sorted(exported) == sorted(re.findall(pattern, (STATIC / f"{name}.d.ts").read_text(), re.MULTILINE))
