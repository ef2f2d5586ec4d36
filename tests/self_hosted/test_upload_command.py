"""`darkroom upload` as a person uses it: folders, odd names, terminals, pipes, Ctrl-C."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from darkroom.cli.command import cli
from darkroom.cli.direct import FileClient
from tests.running_server import Server, serving
from tests.samples import encoded, photograph
from tests.self_hosted.test_crashes import stop_worker

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "darkroom"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for no keys."""
    with serving(tmp_path_factory.mktemp("command") / "data") as running:
        yield running


def environment(server: Server, **more: str) -> dict[str, str]:
    own = {"DARKROOM_URL": server.url, "COLUMNS": "80"}
    return {**os.environ, **own, **more}


def upload(server: Server, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "upload", *map(str, arguments)]
    return subprocess.run(
        command, env=environment(server, **more), capture_output=True, text=True, timeout=300, check=False
    )


def folder_of(folder: Path, seed: int, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded("JPEG", 90, 60, seed=seed + number))
    return folder


def test_a_folder_is_sent_and_sent_again_adds_nothing(server: Server, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "folder", 700, "b.jpg", "a.jpg", "below/c.jpg", ".hidden/d.jpg", ".e.jpg")
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").touch()
    os.mkfifo(folder / "pipe")
    first = upload(server, folder)
    assert first.returncode == 0, first.stderr
    assert [line.split()[2] for line in first.stdout.splitlines()] == [
        str(folder / name) for name in ("a.jpg", "b.jpg", "below/c.jpg")
    ]
    assert {line.split()[0] for line in first.stdout.splitlines()} == {"new"}
    assert first.stderr == "6 files: 3 new, 3 skipped (empty.jpg: The file is empty, and 2 more)\n"
    second = upload(server, folder, folder / "notes.txt")
    assert second.returncode == 1
    assert [line.split()[0] for line in second.stdout.splitlines()] == ["known"] * 3
    counts = "7 files: 3 known, 1 refused (notes.txt: Text is not supported), 3 skipped (empty.jpg: The file is empty, "
    assert second.stderr.endswith(f"{counts}and 2 more)\n")


def test_a_folder_without_pictures_is_said_to_be_one(server: Server, tmp_path: Path) -> None:
    done = upload(server, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "0 files: no images found\n")


def test_without_waiting_what_has_arrived_will_do(server: Server, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 710, "a.jpg", "b.jpg")
    worker = stop_worker(server)  # else the images could be ready by the time they are listed
    try:
        done = upload(server, folder, "--wait", "0")
    finally:
        os.kill(worker, signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    assert (len(done.stdout.splitlines()), done.stderr) == (2, "2 files: 2 sent\n")
    again = upload(server, folder, "--wait", "inf")
    assert (again.returncode, again.stderr) == (0, "2 files: 2 known\n")
    known = [line.split()[1] for line in done.stdout.splitlines()]
    assert known == [line.split()[1] for line in again.stdout.splitlines()]


def test_names_take_one_line_and_tell_the_terminal_nothing(server: Server, tmp_path: Path) -> None:
    names = [
        "new\nline.jpg",
        "\x1b[31mred.jpg",
        "\u202egpj.exe.jpg",
        "a" * 251 + ".jpg",
        "👩\u200d👧.jpg",
        "--help.jpg",
    ]
    folder = folder_of(tmp_path, 720, *names)
    done = upload(server, folder)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(names)
    for told in ("new\\nline.jpg", "\\x1b[31mred.jpg", "\\u202egpj.exe.jpg", "👩\u200d👧.jpg"):
        assert told in done.stdout
    items = server.client.get("/images?limit=6").json()["items"]
    assert "👩\u200d👧.jpg" in {item["filename"] for item in items}


def test_letters_that_the_terminal_has_not_are_no_reason_to_end(server: Server, tmp_path: Path) -> None:
    path = folder_of(tmp_path, 730, "é👧.jpg") / "é👧.jpg"
    done = upload(server, path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\xe9\\U0001f467.jpg" in done.stdout


def read_terminal(descriptor: int) -> bytes:
    """Return what is written to a terminal until its other end is closed."""
    shown = b""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while piece := terminal.read(4096):
            shown += piece
    return shown


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_on_a_terminal_what_is_sent_to_a_file_goes_there(server: Server, tmp_path: Path, more: list[str]) -> None:
    folder = folder_of(tmp_path, 740 + 10 * len(more), "[bold]a.jpg", "[x.jpg")
    ours, theirs = pty.openpty()
    command = [*COMMAND, "upload", *more, str(folder)]
    with subprocess.Popen(
        command, env=environment(server, TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs
    ) as running:
        os.close(theirs)
        assert running.stdout is not None
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_terminal, ours)  # at once: it takes a few seconds of progress only
            lines = running.stdout.read().decode().splitlines()
            shown = reading.result()
    assert running.returncode == 0, shown
    assert len(lines) == 2, shown
    assert "[bold]a.jpg" in lines[0]
    assert "[x.jpg" in lines[1]
    assert b"[bold]a.jpg" in shown
    assert b"2 of 2 files" in shown
    assert b"2 files: 2 new" in shown


def test_a_server_that_goes_while_pictures_are_developed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "folder", 800, "a.jpg", "b.jpg")
    for path in folder.iterdir():  # images that take a while to process
        path.write_bytes(photograph("photo-12mp.jpg") + path.name.encode())
    with serving(tmp_path / "data") as server:
        settled = FileClient.wait_until_processed

        def and_then_it_goes(client: FileClient, record: dict[str, Any], seconds: float) -> dict[str, Any]:
            server.kill()
            return settled(client, record, seconds)

        monkeypatch.setattr(FileClient, "wait_until_processed", and_then_it_goes)
        done = CliRunner().invoke(cli, ["upload", "--timeout", "0", "--url", server.url, str(folder)])
    assert done.exit_code == 3
    *states, error, cause, _, counts = done.stderr.splitlines()
    assert any(line.startswith("pending") for line in states)
    assert error == f"error: cannot reach {server.url}"
    assert cause == "cause: Connection refused"
    assert counts in {"2 files: 2 pending", "2 files: 1 pending, 1 not sent"}  # sent at the same time


def test_ctrl_c_ends_it_with_what_was_done_and_the_next_run_goes_on(server: Server, tmp_path: Path) -> None:
    names = [f"interrupted-{number:03}.jpg" for number in range(150)]  # more than are sent ahead
    folder = folder_of(tmp_path, 2000, *names)
    command = [*COMMAND, "upload", "--json", str(folder)]
    with subprocess.Popen(
        command, env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)  # it writes what was sent, which may be more than a pipe takes
        assert running.returncode == 130, said
    assert "Interrupted. Run the command again to continue.\n150 files: " in said
    assert said.endswith(" not sent\n")
    again = upload(server, folder, "--json")
    assert again.returncode == 0, again.stderr
    records = [json.loads(line) for line in again.stdout.splitlines()]
    assert records[0]["id"] == first["id"]
    stored = [
        item["id"] for item in server.client.get("/images?limit=200").json()["items"] if item["filename"] in names
    ]
    assert sorted(stored) == sorted(record["id"] for record in records)


def test_two_terminals_at_once_store_no_image_twice(server: Server, tmp_path: Path) -> None:
    names = [f"both-{number:02}.jpg" for number in range(12)]
    folder = folder_of(tmp_path, 860, *names)
    command = [*COMMAND, "upload", "--json", str(folder)]
    running = [
        subprocess.Popen(command, env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [each.communicate(timeout=300) for each in running]
    assert [each.returncode for each in running] == [0, 0], told
    ids = [[json.loads(line)["id"] for line in out.splitlines()] for out, _ in told]
    assert ids[0] == ids[1]
    new = sum(json.loads(line).get("duplicate") is not True for out, _ in told for line in out.splitlines())
    assert new == len(names)
    items = server.client.get("/images?limit=100").json()["items"]
    assert sorted(item["id"] for item in items if item["filename"] in names) == sorted(ids[0])
