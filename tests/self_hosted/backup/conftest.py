"""The installation that the tests back up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sides import Side, self_hosted


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that the settings name."""
    folder = tmp_path / "data"
    monkeypatch.setenv("DARKROOM_STORAGE_URL", f"file:{folder}")
    monkeypatch.setenv("DARKROOM_DATABASE_URL", f"sqlite:{folder}/darkroom.db")
    return folder


@pytest.fixture
def side(data: Path) -> Iterator[Side]:
    """Its stores, in use while the tests back it up."""
    with self_hosted(data) as opened:
        (data / "secret").write_text("0123456789abcdef")
        yield opened


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder of backups that does not exist yet."""
    return tmp_path / "backups"
