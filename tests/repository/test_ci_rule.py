"""A skipped test fails in CI, by whichever means it is skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

FILES = {
    "call": "import pytest\ndef test_it():\n    pytest.skip('no tool')\n",
    "mark": "import pytest\n@pytest.mark.skip(reason='no tool')\ndef test_it(): ...\n",
    "fixture": "import pytest\n@pytest.fixture\ndef tool(): pytest.skip('no tool')\ndef test_it(tool): ...\n",
    "module": "import pytest\npytest.importorskip('no_such_module', reason='no tool')\ndef test_it(): ...\n",
    "passes": "def test_it(): ...\n",
    "expected": "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False\n",
}


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", "1 passed, 4 skipped, 1 xfailed"), ("true", "1 failed, 1 passed, 1 xfailed, 3 errors")]
)
def test_a_skip_is_a_failure_only_in_ci(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    for name, text in FILES.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors", "--rootdir", tmp_path, tmp_path],
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.stdout.splitlines()[-1].startswith(outcome), run.stdout
    assert run.returncode == (1 if ci else 0)
    assert ("may not be skipped where CI=true: Skipped: no tool" in run.stdout) is bool(ci)
