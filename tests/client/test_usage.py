"""Wrong usage of the command, in this process."""

import sys

import pytest

from darkroom.cli.command import main

ID = "01a21211-8a9b-7bc8-801b-cadcca2023b7"
EXPECTED = "Expected a url such as http://127.0.0.1:8000."


def used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str) -> tuple[object, str]:
    """Run the command; return its exit code and its standard error."""
    monkeypatch.setattr(sys, "argv", ["darkroom", *command.split()])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("upload a.jpg --jobs 0", "Invalid value for '--jobs': must be at least 1 (found: '0')"),
        ("upload a.jpg --jobs 33", "Invalid value for '--jobs': must be at most 32 (found: '33')"),
        ("upload a.jpg --jobs x", "Invalid value for '--jobs': must be a whole number (found: 'x')"),
        ("upload a.jpg --wait soon", "Invalid value for '--wait': must be a number (found: 'soon')"),
        ("upload a.jpg --visibility x", "Invalid value for '--visibility': 'x' is not one of 'private', 'public'."),
        ("upload a.jpg --url nonsense", f"Invalid address of the service (found: 'nonsense'). {EXPECTED}"),
        ("upload a.jpg --url ftp://ann:pass@a", f"Invalid address of the service (found: …). {EXPECTED}"),
        (f"get {ID} --to pyproject.toml", "Invalid value for --to: pyproject.toml is a file. Give a folder, or -"),
        ("key create --owner ann", "Missing option '--scope'. Choose from: upload, read, edit, delete, admin"),
    ],
)
def test_the_cause_names_the_value_and_its_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, cause: str
) -> None:
    code, printed = used(monkeypatch, capsys, command)
    assert code == 2
    assert printed.splitlines()[1] == f"cause: {cause}"


@pytest.mark.parametrize("group", ["", "key", "key entry", "webhook", "delivery", "owner", "backup"])
def test_a_group_without_a_command_shows_its_help_and_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], group: str
) -> None:
    code, printed = used(monkeypatch, capsys, group)
    assert code == 2
    assert "error:" not in printed
    assert "cause:" not in printed
