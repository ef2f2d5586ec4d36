"""Options of `darkroom upload` on a real server, and what users do to it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.conftest import Command
from tests.running_server import Server
from tests.samples import encoded

pytestmark = pytest.mark.slow


def folder_of(folder: Path, seed: int, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded("JPEG", 90, 60, seed=seed + number))
    return folder


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_fields_are_those_of_the_options(server: Server, darkroom: Command, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "Holiday", 3000, "sea/a.jpg")
    fields = ["--title", "Title", "--alt", "Alt", "--tag", "own", "--tags-from-folders", "--visibility", "private"]
    done = darkroom("upload", folder, *fields, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = lines(done.stdout)
    assert (line["file"], line["state"], line["status"]) == (str(folder / "sea/a.jpg"), "new", "ready")
    record = server.client.get(f"/images/{line['id']}").json()
    assert (record["title"], record["alt"], record["visibility"]) == ("Title", "Alt", "private")
    assert record["tags"] == ["own", "Holiday", "sea"]


def test_a_dry_run_sends_nothing(server: Server, darkroom: Command, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 3010, "a.jpg", "b.jpg")
    before = server.client.get("/stats").json()["images"]
    done = darkroom("upload", folder, folder / "a.jpg", "--dry-run")
    assert done.returncode == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["to", "send"], ["to", "send"], ["to", "send"]]
    assert done.stderr == "3 files: 3 to send\n"
    assert server.client.get("/stats").json()["images"] == before
    assert darkroom("upload", folder / "a.jpg").returncode == 0
    assert darkroom("upload", folder, "--dry-run").stderr == "2 files: 1 known, 1 to send\n"


def test_an_image_on_standard_input_is_named_by_an_option(darkroom: Command) -> None:
    content = encoded("JPEG", 90, 60, seed=3020)
    done = darkroom("upload", "-", "--filename", "dir/photo.jpg", "--json", stdin=content)
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout)[0]["filename"] == "photo.jpg"
    again = darkroom("upload", "-", stdin=content)
    assert again.stderr == "1 file: 1 known\n"
    empty = darkroom("upload", "-").stderr
    assert empty == "refused   -  stdin  The file is empty.\n1 file: 1 refused (stdin: The file is empty)\n"


def in_shell(url: str, folder: Path, command: str, content: bytes = b"") -> "subprocess.CompletedProcess[str]":
    """Run a command of the shell, in which `darkroom` is the command. Temporary files are in the folder."""
    shell = f"""darkroom() {{ {sys.executable} -m darkroom "$@"; }}; {command}"""
    environment = {**os.environ, "DARKROOM_URL": url, "TMPDIR": str(folder)}
    done = subprocess.run(["sh", "-c", shell], env=environment, input=content, capture_output=True, check=False)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_standard_input_that_cannot_be_saved_is_three_lines(server: Server, tmp_path: Path) -> None:
    done = in_shell(server.url, tmp_path, "ulimit -f 1; darkroom upload -", b"BM" * 5000)
    assert (done.returncode, done.stdout) == (1, "")
    error, cause, remedy = done.stderr.splitlines()
    assert (error, cause) == ("error: cannot save standard input", "cause: File too large")
    assert remedy == "try: give a file, or set TMPDIR to a folder with space"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["upload - <&-", "list --limit 1 >&-", "delete - <&-", "show - 2>&- <&-"])
def test_a_standard_stream_may_be_closed(server: Server, tmp_path: Path, command: str) -> None:
    done = in_shell(server.url, tmp_path, f"darkroom {command}")
    assert done.returncode == (1 if command.startswith("upload") else 0)
    assert "Traceback" not in done.stderr


def test_names_come_from_a_list(darkroom: Command, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 3030, "new\nline.jpg", "b.jpg")
    listed = b"\0".join(os.fsencode(folder / name) for name in ("new\nline.jpg", "b.jpg"))
    done = darkroom("upload", "--from-file", "-", stdin=listed)
    assert (done.returncode, done.stderr) == (0, "2 files: 2 new\n")
    assert "in/new\\nline.jpg" in done.stdout
    (tmp_path / "list").write_text(f"{folder / 'b.jpg'}\n{folder / 'gone.jpg'}\n-\n{folder / '*.jpg'}\n")
    again = darkroom("upload", "--from-file", tmp_path / "list")
    assert again.returncode == 1
    assert "-  -  No such file or directory.\n" in again.stderr  # `-` is a file in a list
    assert "*.jpg  No such file or directory.\n" in again.stderr  # nor are there patterns
    assert again.stderr.endswith("4 files: 1 known, 3 refused (gone.jpg: No such file or directory, and 2 more)\n")


def test_after_an_error_it_stops_or_goes_on(darkroom: Command, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 3040, *(f"{number:02}.jpg" for number in range(4)))
    (folder / "01.jpg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    given = sorted(folder.iterdir())
    stopped = darkroom("upload", *given, "--on-error", "stop", "--jobs", "1")
    assert stopped.returncode == 1
    assert " 1 refused (01.jpg: SVG is not supported), 2 not sent" in stopped.stderr
    going = darkroom("upload", *given)
    assert going.returncode == 1
    assert " 1 refused (01.jpg: SVG is not supported)" in going.stderr
    assert "not sent" not in going.stderr


def test_a_reader_that_closes_the_pipe_does_not_end_the_run(server: Server, darkroom: Command, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 3050, *(f"{number:02}.jpg" for number in range(12)))
    running = darkroom.start("upload", folder)
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdout.readline().startswith("new")
    running.stdout.close()
    assert running.stderr.read() == "12 files: 12 new\n"
    running.stderr.close()
    assert running.wait(60) == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give a file, a folder, a url, or --from-file"),
        (["-", "-"], "standard input can be read only once"),
        (["a.jpg", "--filename", "b.jpg"], "only with - as a file"),
        (["-", "--filename", ".."], "not the name of a file"),
        (["-", "--filename", "a" * 256], "not the name of a file"),
        (["--from-file", "/nowhere/list"], "cannot be read: No such file or directory"),
        (["a.jpg", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["a.jpg", "--visibility", "hidden"], "'hidden' is not one of"),
    ],
)
def test_wrong_usage_is_code_2(darkroom: Command, arguments: list[str], expected: str) -> None:
    done = darkroom("upload", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    error, cause, remedy = done.stderr.splitlines()
    assert error == "error: wrong usage of darkroom upload"
    assert expected in cause
    assert remedy == "try: darkroom upload --help"


def test_a_file_that_changes_while_it_is_sent_is_refused(darkroom: Command, tmp_path: Path) -> None:
    """Named pipes hold the run: when the files are counted, and after the first one has been hashed."""
    changing = tmp_path / "changing.bmp"
    changing.write_bytes(encoded("BMP", 900, 600, seed=3070))
    folder = folder_of(tmp_path / "folder", 3071, "x.jpg")
    pipes = [tmp_path / "counted", tmp_path / "hashed"]
    for pipe in pipes:
        os.mkfifo(pipe)
    ignored = folder / ".darkroomignore"
    ignored.symlink_to(pipes[0])
    with darkroom.start("upload", changing, folder) as running:
        with pipes[0].open("wb"):
            ignored.unlink()
            ignored.symlink_to(pipes[1])
        with pipes[1].open("wb"):
            changing.write_bytes(encoded("BMP", 900, 500, seed=3070))
        _, said = running.communicate(timeout=90)
    assert running.returncode == 1
    assert "changing.bmp  The file changed while it was sent. Run the command again." in said
    assert said.endswith("2 files: 1 new, 1 refused (changing.bmp: The file changed while it was sent)\n")
    assert darkroom("upload", changing).stderr == "1 file: 1 new\n"
