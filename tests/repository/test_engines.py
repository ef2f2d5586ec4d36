"""Commands that the installer of the engines runs."""

import importlib.util
import sys
from types import ModuleType

import pytest

from tests.repository.tree import ROOT


@pytest.fixture(scope="module")
def installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("engines_installer", ROOT / "tools" / "engines.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_command_that_succeeds_prints_nothing(installer: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    installer.run(sys.executable, "-c", "import sys; print('noise'); print('WARNING: noise', file=sys.stderr)")
    assert capfd.readouterr() == ("", "")


def test_a_command_that_fails_prints_its_output_and_a_hint(installer: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"(?s)a hint.*the reason.*failed with status 3"):
        installer.run(sys.executable, "-uc", "import sys; print('a hint'); sys.stderr.write('the reason'); sys.exit(3)")


def test_a_missing_program_is_named(installer: ModuleType) -> None:
    with pytest.raises(SystemExit, match="`no-such-program` is required"):
        installer.run("no-such-program", "pack")
