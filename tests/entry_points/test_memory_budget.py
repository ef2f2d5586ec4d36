"""Memory budget of the self-hosted worker, from its settings and the machine."""

import pytest

from app.bootstrap_worker import build_memory_budget
from app.settings import Settings
from app.worker.memory_budget import PROCESS_MB


@pytest.mark.parametrize(
    ("slots", "spares", "budget_mb", "machine_mb", "is_limited"),
    [
        (1, 0, 1024, 2000, False),  # one image has its whole bound
        (2, 0, 1024, 64_000, True),
        (2, 0, 4096, 1000, False),
        (2, 0, None, 2000, True),  # 1,400 MB are too few for two images
        (2, 0, None, 4000, False),
        (8, 0, None, 4000, True),
        (2, 1, 2 * (1024 + PROCESS_MB), 4000, True),  # a process that waits needs memory too
        (2, 1, 2 * (1024 + PROCESS_MB) + PROCESS_MB, 4000, False),
    ],
)
def test_images_share_memory_if_they_cannot_all_have_their_whole_bound(
    monkeypatch: pytest.MonkeyPatch, slots: int, spares: int, budget_mb: int | None, machine_mb: int, is_limited: bool
) -> None:
    monkeypatch.setattr("app.bootstrap_worker.usable_memory_mb", lambda: machine_mb)
    budget = build_memory_budget(Settings(memory_budget_mb=budget_mb), slots, spares)
    assert (budget is not None) == is_limited
