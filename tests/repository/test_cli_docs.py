"""docs/cli.md has the help of every command."""

import subprocess
import sys

from tests.repository.tree import ROOT


def test_the_page_is_what_the_commands_say() -> None:
    command = [sys.executable, "tools/cli_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "run make cli-docs"
