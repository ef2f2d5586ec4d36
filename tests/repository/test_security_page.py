"""Each promise of SECURITY.md names the code that keeps it and the tests that try to break it, and they exist."""

import re

import pytest

from app.settings import Settings
from tests.repository.tree import ROOT

PAGE = (ROOT / "SECURITY.md").read_text()
ATTACKERS = PAGE[PAGE.index("## Attackers") : PAGE.index("## A hijacked decoder")]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in ATTACKERS.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| promise "))
]
_LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)(?: \(([^)]*)\))?")


def test_each_attacker_has_promises_and_limits() -> None:
    parts = ATTACKERS.split("\n### ")[1:]
    assert len(parts) == 9
    assert [part.splitlines()[0] for part in parts if "\nNot promised: " not in part or "\n| " not in part] == []


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_a_promise_is_kept_by_code_and_tested(row: list[str]) -> None:
    _, kept, tested = row
    for cell, roots in ((kept, ("app/", "template.yaml")), (tested, ("tests/",))):
        links = _LINK.findall(cell)
        assert links
        for path, names in links:
            assert path.startswith(roots)
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"^ *def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{name}: {path}"


def test_the_named_settings_exist() -> None:
    named = {name.removeprefix("DARKROOM_").lower() for name in re.findall(r"`(DARKROOM_[A-Z_]+)", PAGE)}
    assert named - set(Settings.model_fields) == set()
