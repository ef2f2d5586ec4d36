"""The unit for systemd of docs/server.md, judged by systemd itself without being installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.proxies.conftest import block

pytestmark = pytest.mark.proxies

UNIT = block("ini", "# /etc/systemd/system/darkroom.service")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed: see `make test-proxies`")
    path = tmp_path / "darkroom.service"
    path.write_text(UNIT)
    return path


def test_its_exposure_is_at_most_three(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=False
    )
    found = re.search(r"Overall exposure level for darkroom\.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= 3


def test_systemd_finds_no_mistake(unit: Path) -> None:
    text = UNIT.replace("/srv/darkroom/.venv/bin/python", "/bin/true").replace("User=darkroom", "User=root")
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "darkroom.service" not in done.stderr, done.stderr


def test_it_raises_the_limit_of_descriptors() -> None:
    assert "\nLimitNOFILE=65536\n" in UNIT
