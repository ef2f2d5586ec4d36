"""The log: one JSON object per line from every writer, and no path of the data folder in any of them."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.running_server import serving
from tests.samples import encoded

ROOT = Path(__file__).parents[2]


def said_by(program: str, folder: Path, private: str | None = None) -> list[dict[str, Any]]:
    """The lines of a program that has `folder` as its data folder, each of which must be JSON and not hold its path."""
    head = f"""
        import logging, os, sys, threading, warnings
        from pathlib import Path
        from app import logs
        folder = Path({str(folder)!r})
        logs.configure("INFO", "test", (folder, folder / "darkroom.db"))
        logs.catch_uncaught()
        log = logging.getLogger("app.test")
    """
    text = textwrap.dedent(head) + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", text], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(line.keys() >= {"level", "name", "message"} for line in lines)
    assert (private or str(folder)) not in done.stderr
    return lines


PROGRAMS = {
    "a library's warning": ("logging.getLogger('a.library').warning('careful\\nthere')", ["careful\nthere"]),
    "a library's small talk": ("logging.getLogger('a.library').info('hello')", []),
    "a warning of Python": ("warnings.warn('old', DeprecationWarning)", ["old"]),
    "a record that cannot be formatted": (
        "logging.getLogger('a.library').error('%d', 'x')",
        ["could not be formatted"],
    ),
    "a record that is an error": ("logging.getLogger('a').error(OSError(2, 'No such file', str(folder)))", ["Errno 2"]),
    "an error among the arguments": (
        "log.error('it was: %s', OSError(2, 'No such file', str(folder)))",
        ["it was: [E"],
    ),
    "an error in a field": ("log.error('said', extra={'why': OSError(2, 'No such file', str(folder))})", ["said"]),
    "a path in the words": ("log.error(f'{folder}/originals is odd', extra={'path': folder})", ["<data>/originals"]),
    "a field that UTF-8 cannot encode": ("log.error('odd', extra={'file_name': 'a\\udcff'})", ["odd"]),
    "a thread's end": ("t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()", ["ended a thread"]),
    "the process's end": ("raise OSError(5, 'Input/output error', str(folder / 'a'))", ["ended the process"]),
    "an exception that has nowhere to go": (
        """
        class Bad:
            def __del__(self):
                raise ValueError(f"{folder}")
        Bad()
        """,
        ["exception ignored"],
    ),
    "uvicorn": ("logging.getLogger('uvicorn.error').error('bad', extra={'color_message': 'x'})", ["bad"]),
    "uvicorn's small talk": ("logging.getLogger('uvicorn.error').info('up')", []),
    "uvicorn's access log": ("logging.getLogger('uvicorn.access').info('GET /?secret')", []),
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_every_line_is_json_whoever_writes_it(tmp_path: Path, what: str) -> None:
    program, expected = PROGRAMS[what]
    lines = said_by(program, tmp_path / "the data")
    assert len(lines) == len(expected)
    for line, words in zip(lines, expected, strict=True):
        assert words in line["message"]


def test_a_chain_of_errors_names_no_file_and_keeps_its_reasons(tmp_path: Path) -> None:
    program = """
        # Names that are not in the lines of source that a traceback quotes.
        ours, target, missing = folder / "o'clock", "/elsewhere/b", "/elsewhere/c"

        def fail(number, name):
            raise OSError(number, os.strerror(number), str(name), None, target)
        try:
            try:
                try:
                    fail(28, ours)
                except OSError as error:
                    raise RuntimeError("the second") from error
            except RuntimeError:
                raise ExceptionGroup("several", [ValueError("third"), OSError(2, "No such file", missing)])
        except Exception:
            log.exception("a chain")
    """
    (line,) = said_by(program, tmp_path / "the data")
    for words in ("No space left", "the second", "third", "No such file", "Traceback"):
        assert words in line["exception"]
    assert "elsewhere" not in line["exception"]
    assert "clock" not in line["exception"]


def test_a_name_that_only_begins_like_the_data_folder_is_kept(tmp_path: Path) -> None:
    (line,) = said_by("log.error(f'{folder}base {folder}')", tmp_path / "data", 'data"')
    assert line["message"].endswith("database <data>")


@pytest.mark.slow
def test_log_lines_about_clients_and_disks_are_json_without_paths(tmp_path: Path) -> None:
    data = tmp_path / "the data"
    with serving(data) as server:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        bodies = [b"--x\r\nno header at all\r\n\r\n", b"nothing", b"--x\r\nContent-Disposition: form-data\r\r\n"]
        for body in bodies:
            assert server.client.post("/upload", content=body, headers=headers).status_code in {400, 422}
        temporary = data / "tmp"
        temporary.rmdir()
        temporary.write_text("no folder")
        for _ in range(2):
            answer = server.client.post("/upload", files={"file": ("a.jpg", encoded())})
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert str(data) not in answer.text
        assert server.client.get("/readyz").status_code == 503
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any("exception" in line for line in lines)
    assert str(data) not in log
