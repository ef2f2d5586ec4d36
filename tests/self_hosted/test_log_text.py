"""The log in a terminal: readable lines and tracebacks, still without paths of the data folder."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import logging, sys
from pathlib import Path
from app import logs
folder = Path(sys.argv[1])
logs.configure("INFO", "test", (folder,), sys.argv[2])
log = logging.getLogger("app.request")
log.info("%s %s %d", "POST", "/upload", 201, extra={"route": "/upload", "status": 201, "ms": 3.25, "image_id": "abc"})
log.warning("red \\x1b[31m text of a client", extra={"phases": {"store": 1.5}, "name_of": "two words"})
try:
    open(folder / "secret", "rb")
except OSError:
    log.exception("a file of %s", folder)
"""


def written(folder: Path, form: str, terminal: bool, **environment: str) -> str:
    """Run the program and return what it wrote to standard error."""
    command = [sys.executable, "-c", PROGRAM, str(folder), form]
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    if not terminal:
        return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=True).stderr
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as reader:
        process = subprocess.Popen(command, cwd=ROOT, env=kept, stderr=theirs)
        os.close(theirs)
        text = b""
        while True:
            try:
                piece = reader.read(65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            text += piece
        assert process.wait(60) == 0
    return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("form", "terminal"), [("text", False), ("text", True), ("auto", True)])
def test_lines_and_tracebacks_are_text(tmp_path: Path, form: str, terminal: bool) -> None:
    text = written(tmp_path / "the data", form, terminal, NO_COLOR="1")
    lines = text.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    request: POST /upload 201  ms=3\.25 image_id=abc", lines[0])
    assert re.fullmatch(
        r'\S+ WARNING request: red \\x1b\[31m text of a client  phases=\{"store": 1\.5\} name_of="two words"', lines[1]
    )
    assert re.fullmatch(r"\S+ ERROR   request: a file of <data>", lines[2])
    assert lines[3] == "Traceback (most recent call last):"
    assert lines[-1] == "FileNotFoundError: [Errno 2] No such file or directory: '…'"
    assert str(tmp_path) not in text


def test_colors_are_for_terminals(tmp_path: Path) -> None:
    assert "\033[32mINFO" in written(tmp_path, "auto", terminal=True)
    assert "\033" not in written(tmp_path, "text", terminal=False)


@pytest.mark.parametrize("form", ["auto", "json"])
def test_elsewhere_each_line_is_json(tmp_path: Path, form: str) -> None:
    lines = written(tmp_path, form, terminal=form == "json").splitlines()
    assert len(lines) == 3
    assert all(line.startswith('{"timestamp":"') for line in lines)
