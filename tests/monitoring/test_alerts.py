"""The alert rules, judged by promtool."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repository.tree import ROOT

pytestmark = pytest.mark.proxies


def test_promtool_accepts_the_rules() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("Prometheus is not installed: see `make test-proxies`")
    rules = ROOT / "docs" / "prometheus-alerts.yml"
    done = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 rules found" in done.stdout


#: Alerts with a series that fires them after the time, and one that does not.
CASES = {
    "DarkroomWebhooksDead": (
        'darkroom_webhook_deliveries{status="dead"}', "1h", "0x30 3x60", "7x120", {"status": "dead"},
    ),
    "DarkroomWebhooksLate": ("darkroom_webhook_oldest_pending_seconds", "2h", "0+60x180", "3000x180", {}),
}  # fmt: skip


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_and_is_silent(tmp_path: Path, alert: str) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("Prometheus is not installed: see `make test-proxies`")
    series, moment, firing, silent, labels = CASES[alert]
    rules = ROOT / "docs" / "prometheus-alerts.yml"
    summary = re.search(rf"alert: {alert}\n.*?summary: (.*?)\n", rules.read_text(), re.DOTALL)
    assert summary
    expected = {"exp_labels": {"severity": "warning", **labels}, "exp_annotations": {"summary": summary[1]}}
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values}],
            "alert_rule_test": [{"eval_time": moment, "alertname": alert, "exp_alerts": alerts}],
        }
        for values, alerts in ((firing, [expected]), (silent, []))
    ]
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(rules)], "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
