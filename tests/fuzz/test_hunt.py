"""A short hunt, always the same one; `make fuzz` goes on for longer and from other seeds."""

import math
from pathlib import Path

import pytest

from app.domain.media import SNIFF_BYTES, media_type_of
from tests.fuzz.anatomy import parts_of
from tests.fuzz.hunt import hunt
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds

SEED = 20_250_101
COUNT = 600


@pytest.mark.slow
def test_no_mutated_picture_does_worse_than_fail(tmp_path: Path) -> None:
    done = hunt(math.inf, SEED, tmp_path / "findings", count=COUNT)
    assert done.findings == {}
    assert done.outcomes["ready"] > 50
    assert done.outcomes["corrupt_image"] > 100
    assert done.peak_mb > 0, "batches tell it, images in a process of their own do not"


def test_a_mutation_can_be_made_again() -> None:
    bodies = [body for _, body in seeds()]
    made = [mutate(SEED, number, bodies[number % len(bodies)], bodies) for number in range(100)]
    again = [mutate(SEED, number, bodies[number % len(bodies)], bodies) for number in reversed(range(100))]
    assert made == again[::-1]
    assert sum(body not in bodies for body in made) > 90


def test_the_anatomy_of_every_kind_is_known() -> None:
    kinds: dict[str, int] = {}
    for _, body in seeds():
        media_type = media_type_of(body[:SNIFF_BYTES])
        kinds[media_type or "none"] = max(kinds.get(media_type or "none", 0), len(parts_of(body)))
    assert {kind for kind, parts in kinds.items() if parts < 3} == set()
