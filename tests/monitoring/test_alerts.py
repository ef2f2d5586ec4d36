"""The alert rules, judged by promtool."""

import shutil
import subprocess

import pytest

from tests.repository.tree import ROOT

pytestmark = pytest.mark.proxies


def test_promtool_accepts_the_rules() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("Prometheus is not installed: see `make test-proxies`")
    rules = ROOT / "docs" / "prometheus-alerts.yml"
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 rules found" in done.stdout
