"""A stage on each side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sides import SIDES, side_parameters
from tests.visibility.stage import Stage


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations take turns, so none has to wait for another."""
    monkeypatch.setattr("app.domain.images.editing._pause", lambda _: None)


@pytest.fixture(params=side_parameters())
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with SIDES[request.param](folder(tmp_path, "data")) as side:
        yield Stage(side, folder(tmp_path, "scratch"))


@pytest.fixture
def self_hosted(tmp_path: Path) -> Iterator[Stage]:
    with SIDES["self-hosted"](folder(tmp_path, "data")) as side:
        yield Stage(side, folder(tmp_path, "scratch"))


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made
