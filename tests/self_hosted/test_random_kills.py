"""`kill -9` of everything at random moments of a mixed load: a short storm. `make kill-storm` runs a long one."""

from pathlib import Path

import pytest

from tests.self_hosted.kill_storm.clients import KINDS
from tests.self_hosted.kill_storm.faults import VICTIMS
from tests.self_hosted.kill_storm.storm import storm

SECONDS = 15


@pytest.mark.slow
@pytest.mark.alone
def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(tmp_path: Path) -> None:
    outcome = storm(tmp_path / "data", seconds=SECONDS, seed=20)
    print(outcome)
    assert outcome.ledger.kills.keys() == VICTIMS.keys()
    assert outcome.ledger.kinds.keys() == KINDS.keys()
    assert outcome.ledger.edits.total() > 0
    assert outcome.ledger.events.keys() >= {"trash", "restore", "permanent delete", "key repeated", "lease ended"}
    assert outcome.purged > 0
    assert outcome.requests > outcome.events > len(outcome.ledger.acknowledged)
    assert outcome.problems == []
