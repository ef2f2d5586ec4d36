"""docs/first-session.md: its commands print what the page shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.tree import ROOT
from tests.running_server import Server
from tests.samples import photo

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "first-session.md").read_text()
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ADDRESS = "http://127.0.0.1:8000"
#: Parts of the output that differ between runs and machines.
VARYING = {r"\b[0-9a-f]{64}\b": "<hash>", r"\d{4}-\d\d-\d\d \d\d:\d\d": "<time>", r"[\d.]+ kB": "<size>"}


def session() -> list[tuple[str, list[str]]]:
    """Return the commands of the page, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


def normalized(lines: list[str]) -> list[str]:
    """Replace the varying parts. Files that are sent at the same time are listed in any order."""
    text = "\n".join(lines)
    for pattern, name in VARYING.items():
        text = re.sub(pattern, name, text)
    return sorted(text.splitlines())


def translate(text: str, ids: dict[str, str]) -> str:
    """Replace the ids of the page by those of this run."""
    return ID.sub(lambda match: ids[match[0]], text)


@pytest.mark.usefixtures("client")  # removes the images of other tests
def test_the_commands_print_what_the_page_shows(server: Server, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    for number, name in enumerate(("harbor", "lighthouse", "island")):
        photo(1600, 1200, seed=number).save(tmp_path / "holiday" / f"{name}.jpg", quality=85)
    (tmp_path / "holiday" / "notes.txt").write_text("notes\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ids: dict[str, str] = {}
    for command, shown in session():
        real = translate(command, ids)
        done = subprocess.run(
            ["bash", "-c", real], cwd=tmp_path, env=kept | {"PATH": programs, "DARKROOM_URL": server.url},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        printed = done.stdout.replace(server.url, ADDRESS).splitlines()
        if not ids:  # the upload, in the order of the files
            ids = dict(zip(ID.findall("\n".join(shown)), ID.findall(done.stdout), strict=True))
        expected = [translate(line, ids) for line in shown]
        assert normalized(printed) == normalized(expected), f"{command}\n{done.stdout}"
    assert [path.name for path in (tmp_path / "website").iterdir()] == ["lighthouse-w640.webp"]
