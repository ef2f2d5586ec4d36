"""The examples of the documentation of the client, run against the real server."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import darkroom
from app.domain.access.api_keys import Scope, new_key
from darkroom import Client
from tests.client.conftest import remove_all
from tests.running_server import Server, serving
from tests.samples import encoded
from tests.web_server import answer, web_server

#: The address in the examples.
ADDRESS = "http://127.0.0.1:8000"
OTHER_ADDRESS = "https://img.example.org"


def examples() -> Iterator[doctest.DocTest]:
    """Yield the docstrings of the package that have examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in ("darkroom", *(each.name for each in pkgutil.walk_packages(darkroom.__path__, "darkroom."))):
        yield from (test for test in finder.find(importlib.import_module(module)) if test.examples)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a trash, which fetches images from this machine."""
    settings = {"DARKROOM_FETCH_HOSTS": "127.0.0.1", "DARKROOM_ALLOW_PRIVATE_ADDRESSES": "true"}
    with serving(tmp_path_factory.mktemp("examples") / "data", DARKROOM_TRASH_DAYS="7", **settings) as running:
        yield running


@pytest.fixture
def other_server() -> Iterator[str]:
    """The address of a web server that has an image."""
    with web_server(answer(body=encoded(seed=9)), names=None) as running:
        yield f"http://127.0.0.1:{running.port}"


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Client]:
    """A client with the scope admin, of a server that requires keys."""
    key, entry = new_key("root", [Scope.ADMIN])
    with (
        serving(tmp_path / "guarded", DARKROOM_AUTH="required", DARKROOM_API_KEYS=str(entry)) as running,
        Client(running.url, key) as made,
    ):
        yield made


@pytest.mark.slow
def test_the_examples_of_all_methods_run(client: Client, admin: Client, photo: Path, other_server: str) -> None:
    tests = list(examples())
    public = {name for name in dir(Client) if not name.startswith("_")} - {"close", "address"}
    assert {test.name.rpartition(".")[2] for test in tests} >= public
    said: list[str] = []
    image = None
    for test in tests:
        if image is None or list(client.images()) != [image]:  # the previous example has changed it
            remove_all(client)
            image = client.upload(photo, title="Lighthouse", tags=["sea"], wait=60)
        for example in test.examples:
            for written, real in ((ADDRESS, client.address), (OTHER_ADDRESS, other_server)):
                example.source = example.source.replace(written, real)
                example.want = example.want.replace(written, real)
        test.globs |= {"client": client, "image": image, "admin": admin}
        doctest.DocTestRunner().run(test, out=said.append)
    assert "".join(said) == ""
