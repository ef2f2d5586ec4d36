"""The list of commands: read without importing them, complete, and robust against a broken installation."""

import importlib.metadata
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from app.cli.commands import COMMANDS as OPERATOR
from darkroom.cli import lazy
from darkroom.cli.command import COMMANDS, cli
from darkroom.cli.lazy import Command
from tests.tiers import smoke

SLOW = {"httpx", "rich.progress", "pydantic", "app.settings"}


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that replaces the registered commands by an entry point with this value."""

    def register(value: str) -> None:
        found = EntryPoint("other", value, lazy.GROUP)
        monkeypatch.setattr(lazy, "entry_points", lambda group: [found] if group == lazy.GROUP else [])

    return register


def test_help_lists_all_commands_and_imports_none() -> None:
    script = "import sys\nfrom darkroom.cli.command import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    help_text, _, loaded = done.stdout.strip().rpartition("\n")
    assert [name for name in (command.name for command in (*COMMANDS, *OPERATOR)) if f" {name} " not in help_text] == []
    assert set(loaded.split()) & SLOW == set()


def test_the_checkout_registers_the_operator_commands() -> None:
    (found,) = importlib.metadata.entry_points(group=lazy.GROUP)
    assert found.load() is OPERATOR


@pytest.mark.parametrize("command", [*COMMANDS, *OPERATOR], ids=lambda command: command.name)
def test_a_summary_is_the_first_sentence_of_the_help(command: Command) -> None:
    group = get_command(cli)
    context = group.make_context("darkroom", [], resilient_parsing=True)
    found = group.get_command(context, command.name)  # type: ignore[attr-defined]  # of a group
    text = found.make_context(command.name, [], parent=context, resilient_parsing=True).command.help
    assert text.startswith(command.summary)
    assert command.summary.endswith(".")


def test_a_command_whose_module_is_broken_is_one_line(entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (Command("broken", "no_such_module:run", "Fail."),)
    monkeypatch.setattr("app.cli.commands.COMMANDS", broken)
    entry("app.cli.commands:COMMANDS")
    done = CliRunner().invoke(cli, ["broken", "--anything"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: the command broken cannot be loaded: No module named 'no_such_module'\n"


@pytest.mark.parametrize("value", ["no_such_module:COMMANDS", "app.cli.commands:NOTHING", "app:__version__", "app:sys"])
def test_an_entry_point_that_is_broken_is_one_line_and_the_rest_works(entry: Any, value: str) -> None:
    entry(value)
    done = CliRunner().invoke(cli, ["--help"])
    assert done.exit_code == 0
    assert "upload" in done.stdout
    assert set(done.stderr.splitlines()) == {done.stderr.splitlines()[0]}
    assert done.stderr.startswith(f"warning: the commands of {value} cannot be loaded: ")


def test_commands_of_the_client_cannot_be_replaced(entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cli.commands.COMMANDS", (Command("upload", "no_such_module:run", "Fail."),))
    entry("app.cli.commands:COMMANDS")
    assert CliRunner().invoke(cli, ["upload", "--help"]).exit_code == 0


def test_without_the_packages_of_the_command_one_sentence_names_them() -> None:
    script = "import sys; sys.modules['typer'] = None; from darkroom.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "The darkroom command needs typer and rich: install darkroom[cli] instead of darkroom.\n"


@pytest.mark.parametrize("columns", [40, 100])
def test_help_names_options_and_their_values(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in (*([command.name] for command in COMMANDS), ["key", "create"]):
        done = CliRunner().invoke(cli, [*name, "--help"], terminal_width=columns)
        assert done.exit_code == 0
        assert "…" not in done.stdout  # no name is cut
        assert max(map(len, done.stdout.splitlines())) <= columns
        assert [wrong for wrong in ("<bool>", "<str>", "<int", "<list") if wrong in done.stdout] == []
    upload = CliRunner().invoke(cli, ["upload", "--help"]).stdout
    assert [name for name in ("--tags-from-folders", "--from-file", "PATTERN") if name not in upload] == []


@pytest.mark.parametrize(
    ("words", "expected"),
    smoke(
        [
            ("darkroom list --order ", "desc asc"),
            ("darkroom li", "list"),
            ("darkroom upload --tags", "--tags-from-folders"),
        ]
    ),
)
def test_the_shell_completes_commands_options_and_values(words: str, expected: str) -> None:
    number = str(len(words.split(" ")) - 1)
    completing = {"_DARKROOM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": number}
    command = [sys.executable, "-m", "darkroom"]
    done = subprocess.run(command, env={**os.environ, **completing}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected.split()
