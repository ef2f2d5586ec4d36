"""Memory budget of the self-hosted worker, from its settings and the machine."""

import pytest

from app.bootstrap_worker import build_memory_budget
from app.settings import Settings


@pytest.mark.parametrize(
    ("slots", "budget_mb", "machine_mb", "is_limited"),
    [
        (1, 1024, 2000, False),  # one image has its whole bound
        (2, 1024, 64_000, True),
        (2, 4096, 1000, False),
        (2, None, 2000, True),  # 1,400 MB are too few for two images
        (2, None, 4000, False),
        (8, None, 4000, True),
    ],
)
def test_images_share_memory_if_they_cannot_all_have_their_whole_bound(
    monkeypatch: pytest.MonkeyPatch, slots: int, budget_mb: int | None, machine_mb: int, is_limited: bool
) -> None:
    monkeypatch.setattr("app.bootstrap_worker.usable_memory_mb", lambda: machine_mb)
    budget = build_memory_budget(Settings(memory_budget_mb=budget_mb), slots)
    assert (budget is not None) == is_limited
