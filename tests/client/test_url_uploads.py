"""Uploads from urls, by `darkroom upload` and the client, on real servers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkroom import Client, Refused
from tests.client.conftest import Command
from tests.running_server import Server, serving
from tests.samples import encoded
from tests.web_server import WebServer, answer, replies, web_server

pytestmark = pytest.mark.slow

IMAGE, OTHER = encoded(seed=501), encoded(seed=502)


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fetches from this machine."""
    settings = {"DARKROOM_FETCH_HOSTS": "127.0.0.1", "DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true"}
    with serving(tmp_path_factory.mktemp("fetching") / "data", **settings) as running:
        yield running


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server whose first answer is an image, and whose second one is another; then it has none."""
    with web_server(replies(answer(body=IMAGE), answer(body=OTHER), answer("404 Not Found")), names=None) as running:
        yield running


def test_urls_and_files_are_uploaded_together(fetching: Server, web: WebServer, tmp_path: Path) -> None:
    (tmp_path / "file.jpg").write_bytes(encoded(seed=503))
    (tmp_path / "again.jpg").write_bytes(IMAGE)
    address = f"http://127.0.0.1:{web.port}"
    darkroom = Command(fetching.url)
    url = f"{address}/sea.jpg?signature=s3cret"
    arguments = ["--tag", "sea", "--title", "Sea", "--json", "--jobs", "1"]
    done = darkroom("upload", url, tmp_path / "file.jpg", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "2 files: 2 new\n"
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["file"], first["state"], first["status"], first["filename"]) == (url, "new", "ready", "sea.jpg")
    assert (first["source_url"], first["title"], first["tags"]) == (f"{address}/sea.jpg", "Sea", ["sea"])
    assert second["file"] == str(tmp_path / "file.jpg")

    names = tmp_path / "names"
    names.write_text(f"{tmp_path / 'again.jpg'}\n{url}\n{address}/gone.jpg\n")
    done = darkroom("upload", "--from-file", names, "--jobs", "1")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["known", "new"]
    assert f"{address}/sea.jpg" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
    refused, counts = done.stderr.splitlines()
    assert refused.split()[:3] == ["refused", "-", f"{address}/gone.jpg"]
    assert "404" in refused
    assert counts.startswith("3 files: 1 new, 1 known, 1 refused (gone.jpg: The image at `url` could not be fetched: ")


def test_a_known_image_is_known_by_its_url_too(fetching: Server) -> None:
    with web_server(answer(body=encoded(seed=504)), names=None) as web:
        url = f"http://127.0.0.1:{web.port}/a.jpg"
        darkroom = Command(fetching.url)
        assert darkroom("upload", url).stderr == "1 file: 1 new\n"
        assert darkroom("upload", url).stderr == "1 file: 1 known\n"


def test_a_dry_run_fetches_nothing(fetching: Server, server: Server, web: WebServer) -> None:
    url = f"http://127.0.0.1:{web.port}/a.jpg"
    done = Command(fetching.url)("upload", url, url, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "2 files: 2 to send\n")
    done = Command(server.url)("upload", url, "--dry-run")
    assert done.returncode == 1
    assert "DARKROOM_FETCH_HOSTS" in done.stderr
    assert not web.requests


def test_a_server_that_fetches_no_urls_names_the_setting_and_takes_the_files(
    server: Server, web: WebServer, tmp_path: Path
) -> None:
    (tmp_path / "file.jpg").write_bytes(encoded(seed=505))
    url = f"http://127.0.0.1:{web.port}/a.jpg"
    done = Command(server.url)("upload", url, tmp_path / "file.jpg")
    assert done.returncode == 1
    assert done.stderr.startswith(f"refused   -  {url}  Uploads from a url are off. ")
    assert "DARKROOM_FETCH_HOSTS" in done.stderr
    assert done.stderr.endswith("2 files: 1 new, 1 refused (a.jpg: Uploads from a url are off)\n")
    (tmp_path / "other.jpg").write_bytes(encoded(seed=507))
    done = Command(server.url)("upload", url, tmp_path / "other.jpg", "--on-error", "stop", "--jobs", "1")
    assert (done.returncode, done.stdout) == (1, "")
    with Client(server.url) as client, pytest.raises(Refused) as refusal:
        client.upload_url(url)
    assert refusal.value.code == "fetch_disabled"
    assert not web.requests


def test_exit_codes_say_why_nothing_was_fetched(fetching: Server) -> None:
    assert Command("http://127.0.0.1:1")("upload", "https://img.example/a.jpg").returncode == 3
    done = Command(fetching.url)("upload", "https://img.example/a.jpg", "--json")
    assert done.returncode == 1
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["state"], line["problem"]["code"], line["problem"]["reason"]) == ("refused", "fetch_refused", "host")


def test_the_client_describes_and_waits(fetching: Server) -> None:
    with web_server(answer(body=encoded(seed=506)), names=None) as web, Client(fetching.url) as client:
        url = f"http://127.0.0.1:{web.port}/a.jpg"
        image = client.upload_url(url, filename="mine.jpg", title="Mine", wait=60)
        assert (image.status, image.filename, image.title, image.source_url) == ("ready", "mine.jpg", "Mine", url)
        again = client.upload_url(url)
        other = client.upload_url(url, on_duplicate="create")
    assert (again.id, again.duplicate, other.duplicate) == (image.id, True, False)
    assert other.id != image.id
