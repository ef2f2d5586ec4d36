"""Fault tests run on moto in seconds, and on the real engines in their own tier."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.faults.scene import Scene
from tests.sides import SIDES


@pytest.fixture(params=["moto", pytest.param("engines", marks=pytest.mark.engines)])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with SIDES[request.param](tmp_path) as side:
        yield Scene(side, scratch)
        assert list(scratch.iterdir()) == []


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting between tries takes no time, and the SDK forgets what earlier tests used up of its retries."""
    monkeypatch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda *_: True)
    clock = SimpleNamespace(sleep=lambda _: None)
    for module in ("botocore.endpoint", "app.adapters.dynamodb.calls", "app.adapters.s3.store"):
        monkeypatch.setattr(f"{module}.time", clock)
