"""The command under hard conditions: servers that die, keys without rights, huge folders, narrow terminals, Ctrl-C."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread

import pytest

from app.domain.access.api_keys import Scope, new_key
from darkroom import Client
from tests.client.conftest import Command
from tests.running_server import Server, serving, wait_for
from tests.samples import encoded

pytestmark = pytest.mark.slow

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def small_images(folder: Path, count: int, seed: int = 0) -> Path:
    """Write distinct images: the header of a GIF has its size."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}.gif").write_bytes(encoded("GIF", 1 + number % 50, 1 + number // 50, seed=seed))
    return folder


def test_hundreds_of_files_survive_a_kill_of_the_server(tmp_path: Path) -> None:
    folder = small_images(tmp_path / "in", 400)
    with serving(tmp_path / "data") as server:
        darkroom = Command(server.url)
        # The pipe takes 70 lines, then the command waits. So files are left when the server is killed.
        with darkroom.start("upload", folder, "--wait", "0", pipesize=4096) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            first = [running.stdout.readline() for _ in range(120)]
            server.kill()
            with ThreadPoolExecutor(1) as pool:
                reading = pool.submit(running.stdout.read)  # with what `readline` has buffered
                assert running.stderr.readline() == "Connection lost. Retrying for 60 s.\n"
                server.start()
                rest, said = reading.result(), running.stderr.read()
        assert running.returncode == 0, said
        assert len(rest.splitlines()) == 280
        assert "refused" not in said
        assert re.search(r"^400 files: \d+ (new|known|sent)(, \d+ (known|sent))*$", said, re.MULTILINE)
        with Client(server.url) as client:  # a list has the images that are processed
            for line in (*first, *rest.splitlines()):
                assert client.get(line.split()[1], wait=300).status == "ready"
            stored = {image.id: image.filename for image in client.images()}
        assert sorted(stored.values(), key=str) == sorted(path.name for path in folder.iterdir())
        again = darkroom("upload", folder, "--wait", "0")
        assert (again.returncode, again.stderr) == (0, "400 files: 400 known\n")
        with Client(server.url) as client:
            assert {image.id: image.filename for image in client.images()} == stored


def test_a_server_that_stays_away_ends_the_run(tmp_path: Path) -> None:
    folder = small_images(tmp_path / "in", 200)
    with (
        serving(tmp_path / "data") as server,
        # The pipe takes few of the lines, so files are left when the server is killed.
        Command(server.url).start("upload", folder, "--wait", "0", "--timeout", "1", pipesize=4096) as running,
    ):
        assert running.stdout is not None
        assert running.stdout.readline().split()[0] in {"sent", "new"}  # the worker may have been faster
        assert running.stderr is not None
        server.kill()
        running.stdout.read()
        said = running.stderr.read()
    assert running.returncode == 3
    lost, error, cause, remedy, counts = said.splitlines()
    assert lost == "Connection lost. Retrying for 1 s."
    assert (error, cause) == (f"error: cannot reach {server.url}", "cause: Connection refused")
    assert remedy.startswith("try: ")
    assert re.fullmatch(r"200 files: (\d+ (new|sent), )+\d+ not sent", counts)


def test_two_runs_at_once_store_each_file_once(tmp_path: Path) -> None:
    folder = small_images(tmp_path / "in", 60)
    with serving(tmp_path / "data") as server:
        darkroom = Command(server.url)
        with darkroom.start("upload", folder) as one, darkroom.start("upload", folder) as other:
            ends = [run.communicate() for run in (one, other)]
        assert [run.returncode for run in (one, other)] == [0, 0], ends
        ids = [{line.split()[1] for line in out.splitlines()} for out, _ in ends]
        assert ids[0] == ids[1]
        with Client(server.url) as client:
            assert {image.id for image in client.images()} == ids[0]
    assert len(ids[0]) == 60


def test_ctrl_c_while_files_are_sent_stores_none_twice(tmp_path: Path) -> None:
    folder = small_images(tmp_path / ("long" * 60), 60)
    with serving(tmp_path / "data") as server:
        darkroom = Command(server.url)
        # The pipe takes few of the long lines, so files are left when the signal comes.
        with darkroom.start("upload", folder, "--wait", "0", pipesize=4096) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            running.stdout.readline()
            running.send_signal(signal.SIGINT)
            running.stdout.read()
            said = running.stderr.read()
        assert running.returncode == 130, said
        assert "Traceback" not in said
        again = darkroom("upload", folder)
        assert again.returncode == 0, again.stderr
        with Client(server.url) as client:
            assert sorted(str(image.filename) for image in client.images()) == sorted(
                path.name for path in folder.iterdir()
            )


def test_keys_without_the_right_are_code_4(tmp_path: Path) -> None:
    keys = {scope: new_key("ann", [scope]) for scope in (Scope.READ, Scope.UPLOAD)}
    entries = ",".join(str(entry) for _, entry in keys.values())
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", 90, 60, seed=5000))
    with serving(tmp_path / "data", DARKROOM_AUTH="required", DARKROOM_API_KEYS=entries) as server:
        outcomes = {}
        for name, key in (("none", ""), ("unknown", "dk_unknown"), *((scope, key) for scope, (key, _) in keys.items())):
            darkroom = Command(server.url, {"DARKROOM_API_KEY": key})
            for arguments in (["list"], ["upload", str(tmp_path / "a.jpg")]):
                done = darkroom(*arguments)
                outcomes[name, arguments[0]] = done.returncode
                assert key not in done.stderr or not key
                assert "Traceback" not in done.stderr
                if done.returncode:
                    assert [line.partition(":")[0] for line in done.stderr.splitlines()[:3]] == [
                        "error",
                        "cause",
                        "try",
                    ]
    assert outcomes == {
        ("none", "list"): 4, ("none", "upload"): 4, ("unknown", "list"): 4, ("unknown", "upload"): 4,
        (Scope.READ, "list"): 0, (Scope.READ, "upload"): 4, (Scope.UPLOAD, "list"): 4, (Scope.UPLOAD, "upload"): 0,
    }  # fmt: skip


def test_an_admin_uploads_and_lists_for_others(tmp_path: Path) -> None:
    key, entry = new_key("admin", [Scope.ADMIN])
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", 90, 60, seed=5001))
    with serving(tmp_path / "data", DARKROOM_AUTH="required", DARKROOM_API_KEYS=str(entry)) as server:
        darkroom = Command(server.url, {"DARKROOM_API_KEY": key})
        assert darkroom("upload", tmp_path / "a.jpg", "--owner", "bob").stderr == "1 file: 1 new\n"
        assert darkroom("upload", tmp_path / "a.jpg", "--owner", "bob").stderr == "1 file: 1 known\n"
        assert darkroom("upload", tmp_path / "a.jpg").stderr == "1 file: 1 new\n"
        assert darkroom("list", "--owner", "bob").stderr == "1 image\n"
        assert "owner       bob\nimages      1 " in darkroom("stats", "--owner", "bob").stdout
        assert darkroom("get", "--owner", "bob", "--to", tmp_path / "out").stderr == "1 file: 1 new\n"


def test_other_servers_are_no_darkroom(tmp_path: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), handler) as other:
        Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{other.server_port}"
        done = Command(url)("list")
        sent = Command(url)("upload", Path(__file__).parents[2] / "app" / "api" / "static" / "page" / "sample.jpg")
        secure = Command(url.replace("http", "https"))("list")
        other.shutdown()
    assert (done.returncode, sent.returncode, secure.returncode) == (3, 3, 3)
    assert "\ntry: set DARKROOM_URL to the address of a Darkroom server\n" in sent.stderr
    assert done.stderr.startswith(f"error: cannot use {url}\ncause: {url} answered 404 ")
    assert "\ncause: TLS: " in secure.stderr


def test_a_path_that_is_not_that_of_the_server_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "photo.gif").write_bytes(encoded("GIF", 1, 1))
    for command in ("stats", "upload ."):
        done = Command(f"{server.url}/below")(*command.replace(".", str(tmp_path)).split())
        assert done.returncode == 3
        assert done.stderr.splitlines()[0] == f"error: cannot use {server.url}"
        assert done.stderr.splitlines()[2] == "try: set DARKROOM_URL to the address of a Darkroom server"


def test_a_folder_may_have_ten_thousand_files(darkroom: Command, tmp_path: Path) -> None:
    head = encoded("GIF", 1, 1)
    for number in range(10_000):
        (tmp_path / f"{number}.gif").write_bytes(head + number.to_bytes(4))
    done = darkroom("upload", tmp_path, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "10,000 files: 10,000 to send\n")
    assert len(done.stdout.splitlines()) == 10_000


def test_files_that_cannot_be_read_are_refused(darkroom: Command, tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    done = darkroom("upload", "/proc/self/mem", tmp_path)
    assert done.returncode == 1
    assert "/proc/self/mem  Input/output error." in done.stderr
    assert "gone.jpg  No such file or directory." in done.stderr
    assert done.stderr.endswith("2 files: 2 refused (mem: Input/output error, and 1 more)\n")


def on_terminal(darkroom: Command, columns: int, *arguments: str | Path) -> tuple[int, str]:
    """Run the command on a terminal of this width. Return its exit code and what it wrote, without escapes."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    darkroom.environment = {"COLUMNS": str(columns), "TERM": "xterm"}
    with darkroom.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            try:
                while piece := terminal.read(4096):
                    shown += piece
            except OSError:  # the other end is closed
                pass
    return running.returncode, ESCAPES.sub("", shown.decode())


@pytest.mark.parametrize("columns", [40, 100])
def test_lines_fit_the_terminal(darkroom: Command, tmp_path: Path, columns: int) -> None:
    seed = 5010 + columns
    (tmp_path / "photo.jpg").write_bytes(encoded("JPEG", 90, 60, seed=seed))
    (tmp_path / ("a long name " * 8 + ".jpg")).write_bytes(encoded("JPEG", 90, 60, seed=seed + 1))
    code, shown = on_terminal(darkroom, columns, "upload", tmp_path, "--tag", f"wide{columns}")
    assert code == 0, shown
    bars = [line for line in re.split(r"[\r\n]+", shown) if "━" in line or "files" in line]
    assert bars
    assert max(map(len, shown.splitlines())) <= columns
    assert shown.splitlines()[-1] == "2 files: 2 new"
    code, shown = on_terminal(darkroom, columns, "list", "--tag", f"wide{columns}")
    assert code == 0
    assert max(map(len, shown.splitlines())) <= columns
    ids = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", shown)
    assert len(ids) == 2


@pytest.mark.parametrize("stage", ["counting", "question"])
def test_ctrl_c_ends_a_command_without_a_traceback(darkroom: Command, tmp_path: Path, stage: str) -> None:
    pipe = tmp_path / ".darkroomignore"
    os.mkfifo(pipe)
    arguments = ["upload", tmp_path] if stage == "counting" else ["get", "--all", "--to", tmp_path]
    if stage == "question":
        arguments = ["delete", "01a21211-8a9b-7bc8-801b-cadcca2023b7"]
    ours, theirs = os.pipe()
    with darkroom.start(*arguments, stdin=ours) as running:
        assert running.stderr is not None
        if stage == "counting":
            with pipe.open("wb"):  # opens once the command reads it
                running.send_signal(signal.SIGINT)
                assert running.wait(60) == 130
        else:
            assert running.stderr.read(4) == "Move"
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 130
        assert running.stderr.read().splitlines()[-1] == "Interrupted."
    os.close(ours)
    os.close(theirs)


@contextmanager
def _as_by_default(number: signal.Signals) -> Iterator[None]:
    """Let started processes end by the signal, even where these tests run under `nohup`."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_the_copy_of_standard_input(darkroom: Command, tmp_path: Path, number: signal.Signals) -> None:
    darkroom.environment["TMPDIR"] = str(tmp_path)
    with _as_by_default(number), darkroom.start("upload", "-", stdin=subprocess.PIPE) as running:
        wait_for(lambda: list(tmp_path.glob("darkroom-*/stdin")), 60)
        running.send_signal(number)
        assert running.wait(60) == -number  # its parent sees the signal
        assert running.stderr is not None
        assert running.stderr.read().splitlines() == ["", "Interrupted."]
    assert list(tmp_path.iterdir()) == []


def test_downloads_that_are_interrupted_leave_no_partial_file(
    server: Server, darkroom: Command, client: Client, tmp_path: Path
) -> None:
    content = [encoded("BMP", 1200, 900, seed=5100 + number) for number in range(8)]
    for number, each in enumerate(content):
        client.upload(each, filename=f"{number}.bmp", tags=["large"])
    to = tmp_path / "out"
    with darkroom.start("get", "--tag", "large", "--to", to, "--jobs", "1") as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(60) in {0, 130}
    assert [path.name for path in to.iterdir() if path.name.endswith(".part")] == []
    assert darkroom("get", "--tag", "large", "--to", to).returncode == 0
    assert sorted(path.read_bytes() for path in to.iterdir()) == sorted(content)
