"""Upload, list and delete with typical programs for curl, Node's fetch, axios, requests, httpx and aiohttp."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import PROGRAMS, run
from tests.running_server import Server, serving
from tests.samples import encoded

pytestmark = pytest.mark.clients

NAME = "Fête – 日本.png"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("clients") / "data") as running:
        yield running


@pytest.fixture
def server(started: Server) -> Iterator[Server]:
    """Server without images, also after a failed test."""
    yield started
    for image in started.client.get("/images").json()["items"]:
        started.client.delete(f"/images/{image['id']}")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / NAME
    path.write_bytes(encoded("PNG"))
    return path


def curl(service: str, path: Path) -> Any:
    """Upload a form, a form with an offer of h2c, a raw body, and chunks from standard input; list; delete."""

    def ask(*arguments: str) -> tuple[int, Any]:
        command = ["curl", "-sS", "--max-time", "60", "-w", "\n%{http_code}", *arguments]
        done = subprocess.run(command, capture_output=True, check=True, timeout=90)
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), json.loads(body) if body else None

    keep = f"{service}/upload?on_duplicate=create"
    named = f"{keep}&filename=F%C3%AAte%20%E2%80%93%20%E6%97%A5%E6%9C%AC.png"
    form = ("-F", "title=Crème", "-F", "tags=sea", "-F", "tags=evening", "-F", f"file=@{path};type=image/png")
    raw = ("--data-binary", f"@{path}", "-H", "Content-Type: image/png")
    ways = {
        "form": (*form, f"{service}/upload"),
        "form, h2c offered": ("--http2", *form, keep),
        "form, HTTP/1.0": ("--http1.0", *form, keep),
        "form, asking to continue": ("-H", "Expect: 100-continue", *form, keep),
        "raw": (*raw, named),
        "raw, chunked": (*raw, "-H", "Transfer-Encoding: chunked", named),
    }
    uploads = []
    for way, arguments in ways.items():
        status, record = ask(*arguments)
        uploads.append({"way": way, "status": status, "record": record})
    listed = ask(f"{service}/images")[1]["items"]
    deleted = [ask("-X", "DELETE", f"{service}/images/{image['id']}")[0] for image in listed]
    return {"uploads": uploads, "listed": len(listed), "deleted": deleted}


def node_fetch(service: str, path: Path) -> Any:
    return run("node", str(PROGRAMS / "fetch.mjs"), service, str(path))


def axios(service: str, path: Path) -> Any:
    return run("node", str(PROGRAMS / "axios.cjs"), service, str(path))


def with_requests(service: str, path: Path) -> Any:
    import requests

    with requests.Session() as session, path.open("rb") as file:
        data = {"title": "Crème", "tags": ["sea", "evening"]}
        sent = session.post(f"{service}/upload", data=data, files={"file": (path.name, file, "image/png")})
        listed = session.get(f"{service}/images").json()["items"]
        deleted = [session.delete(f"{service}/images/{image['id']}").status_code for image in listed]
    upload = {"way": "form", "status": sent.status_code, "record": sent.json()}
    return {"uploads": [upload], "listed": len(listed), "deleted": deleted}


def with_httpx(service: str, path: Path) -> Any:
    import httpx

    with httpx.Client(timeout=60) as client, path.open("rb") as file:
        data = {"title": "Crème", "tags": ["sea", "evening"]}
        sent = client.post(f"{service}/upload", data=data, files={"file": file})
        listed = client.get(f"{service}/images").json()["items"]
        deleted = [client.delete(f"{service}/images/{image['id']}").status_code for image in listed]
    upload = {"way": "form", "status": sent.status_code, "record": sent.json()}
    return {"uploads": [upload], "listed": len(listed), "deleted": deleted}


def with_aiohttp(service: str, path: Path) -> Any:
    import aiohttp

    async def talk() -> Any:
        async with aiohttp.ClientSession() as session:
            form = aiohttp.FormData()
            form.add_field("title", "Crème")
            form.add_field("tags", "sea")
            form.add_field("tags", "evening")
            with path.open("rb") as file:
                form.add_field("file", file, filename=path.name, content_type="image/png")
                async with session.post(f"{service}/upload", data=form) as sent:
                    upload = {"way": "form", "status": sent.status, "record": await sent.json()}
            async with session.get(f"{service}/images") as answer:
                listed = (await answer.json())["items"]
            deleted = []
            for image in listed:
                async with session.delete(f"{service}/images/{image['id']}") as answer:
                    deleted.append(answer.status)
        return {"uploads": [upload], "listed": len(listed), "deleted": deleted}

    return asyncio.run(talk())


CLIENTS: list[Callable[[str, Path], Any]] = [curl, node_fetch, axios, with_requests, with_httpx, with_aiohttp]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.removeprefix("with_"))
def test_a_program_uploads_lists_and_deletes(server: Server, picture: Path, client: Callable[[str, Path], Any]) -> None:
    told = client(server.url, picture)
    for upload in told["uploads"]:
        record = upload["record"]
        assert upload["status"] == (200 if upload["way"] == "ticket" else 201), upload
        assert (record["filename"], record["content_type"]) == (NAME, "image/png"), upload
        if upload["way"].startswith("form"):
            assert (record["title"], record["tags"]) == ("Crème", ["sea", "evening"]), upload
    assert told["listed"] == len(told["uploads"])
    assert told["deleted"] == [204] * len(told["uploads"])
    assert server.client.get("/images").json()["items"] == []
