"""Runs of `darkroom upload`: batches, lookups, copies and output."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from darkroom.base import MAX_HASHES
from darkroom.cli import upload_run
from darkroom.cli.command import cli
from darkroom.cli.direct import FileClient
from darkroom.cli.found_files import FoundFile
from darkroom.cli.patience import Patience
from darkroom.cli.upload_report import UploadReport
from darkroom.cli.upload_run import UploadOptions, UploadRun
from tests.samples import encoded
from tests.tiers import smoke


class Library(httpx.BaseTransport):
    """A service that knows the images of some hashes, and accepts the others by ticket. Without `readable`, the key
    lacks the scope `read`."""

    def __init__(self, known: Callable[[str], bool], *, readable: bool = True) -> None:
        self._known = known
        self._readable = readable
        self.lookups: list[list[str]] = []
        self.sent: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read() or b"{}") if request.method == "POST" else {}
        match request.method, request.url.path:
            case "POST", "/images/lookup":
                self.lookups.append(body["sha256"])
                found = {sha256: f"known-{sha256}" for sha256 in body["sha256"] if self._known(sha256)}
                return httpx.Response(200, json={"known": found}, request=request)
            case "POST", "/upload/direct":
                self.sent.append(body["sha256"])
                ticket = {"id": body["sha256"], "method": "PUT", "url": "/put", "headers": {}}
                return httpx.Response(201, json=ticket, request=request)
            case "PUT", _:
                return httpx.Response(200, request=request)
            case "GET", "/limits":
                return httpx.Response(200, json={"max_upload_bytes": 2000, "max_direct_bytes": 2000}, request=request)
            case _ if not self._readable:
                problem = {"code": "scope_missing", "detail": "The API key lacks the scope `read`."}
                headers = {"Content-Type": "application/problem+json"}
                return httpx.Response(403, json=problem, headers=headers, request=request)
            case _:
                record = {"id": request.url.path.rpartition("/")[2], "status": "ready"}
                return httpx.Response(200, json=record, request=request)


def run_on(library: Library, files: Iterable[Path]) -> UploadRun:
    """Run the command's uploads on this service."""
    report = UploadReport(0)
    with FileClient("http://testserver", transport=library) as client:
        patience = Patience(client.ping, 0, report.tell_lost)
        run = UploadRun(client, report, UploadOptions(wait=5), patience)
        run.send_all(FoundFile(path, is_given=True) for path in files)
    return run


@pytest.mark.parametrize("most", smoke([10, MAX_HASHES]))
def test_only_unknown_images_are_sent_after_lookups_of_a_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Files are read as needed: a folder of any size takes the memory of one batch."""
    monkeypatch.setattr(upload_run, "MAX_HASHES", most)
    monkeypatch.setattr(upload_run, "_AHEAD", 4)
    total = 2 * most + most // 10
    head = encoded("GIF", 1, 1)
    library = Library(known=lambda sha256: int(sha256[-2:], 16) >= 128)
    read = 0
    ahead: list[int] = []

    def files() -> Iterator[Path]:
        nonlocal read
        path = tmp_path / "image.gif"
        for read in range(1, total + 1):
            path.write_bytes(head + read.to_bytes(4))
            yield path
            ahead.append(read - printed())

    def printed() -> int:
        lines.extend(capsys.readouterr().out.splitlines())
        return len(lines)

    lines: list[str] = []
    run = run_on(library, files())
    assert printed() == total
    assert run.good
    assert [len(each) for each in library.lookups] == [most, most, most // 10]
    assert max(ahead) <= most + 4
    asked = [sha256 for each in library.lookups for sha256 in each]
    assert sorted(library.sent) == sorted(sha256 for sha256 in asked if int(sha256[-2:], 16) < 128)
    states = Counter(line.split()[0] for line in lines)
    assert states == {"new": len(library.sent), "known": total - len(library.sent)}


def test_a_large_file_above_the_limit_is_refused_without_being_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(upload_run, "_LARGE_BYTES", 1000)
    head = encoded("GIF", 1, 1)
    for name, size in {"above": 2001, "at": 2000}.items():
        (tmp_path / f"{name}.gif").write_bytes(head.ljust(size, b"\0"))
    (tmp_path / "film.gif").write_bytes(b"x" * 3000)
    library = Library(known=lambda _: False)
    run = run_on(library, [tmp_path / name for name in ("above.gif", "at.gif", "film.gif")])
    assert not run.good
    printed = capsys.readouterr()
    assert "above.gif  The image has 2,001 bytes; the limit is 2,000 (DARKROOM_MAX_UPLOAD_BYTES)." in printed.err
    assert "film.gif  Text is not supported." in printed.err
    assert [line.split()[0] for line in printed.out.splitlines()] == ["new"]
    assert [len(each) for each in library.lookups] == [1]


def test_large_files_are_sent_before_the_whole_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_run, "_BATCH_BYTES", 1000)
    paths = [tmp_path / f"{number}.gif" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded("GIF", 1, 1) + bytes([number]) * 600)
    library = Library(known=lambda _: False)
    run_on(library, paths)
    assert [len(each) for each in library.lookups] == [2, 2]


def test_copies_of_an_image_are_sent_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.gif", "b.gif", "c.gif"):
        (tmp_path / name).write_bytes(encoded("GIF", 1, 1))
    library = Library(known=lambda _: False)
    run_on(library, sorted(tmp_path.iterdir()))
    assert len(library.sent) == 1
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["new", library.sent[0]],
        ["known", library.sent[0]],
        ["known", library.sent[0]],
    ]


def test_a_key_that_cannot_read_sends_copies_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.gif", "b.gif"):
        (tmp_path / name).write_bytes(encoded("GIF", 1, 1))
    library = Library(known=lambda _: False, readable=False)
    run = run_on(library, sorted(tmp_path.iterdir()))
    assert run.good
    assert len(library.sent) == 1
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [["sent", library.sent[0]]] * 2


@pytest.mark.parametrize("no_color", ["", "1"])
def test_only_the_state_is_colored_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_color: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    report = UploadReport(1)
    report.result("new", Path("a.jpg"), {"id": "1"})
    expected = "new       1  a.jpg\n" if no_color else "\x1b[32mnew     \x1b[0m  1  a.jpg\n"
    assert capsys.readouterr().out == expected


def test_the_help_has_examples_and_groups_of_options() -> None:
    done = CliRunner().invoke(cli, ["upload", "--help"])
    for group in ("Input", "Fields", "Output"):
        assert f"─ {group} ─" in done.stdout
    assert done.stdout.count(" darkroom upload ") >= 3
