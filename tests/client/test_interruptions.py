"""A run whose client is closed, and output that cannot be written."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from darkroom import Client, errors
from darkroom.cli.found_files import FoundFile
from darkroom.cli.patience import Patience
from darkroom.cli.upload_report import UploadReport
from darkroom.cli.upload_run import UploadOptions, UploadRun
from tests.samples import encoded


class _ClosedClient:
    """Client that is closed while an image is sent."""

    max_bytes = 0

    def lookup(self, hashes: list[str], owner: str | None) -> dict[str, str]:
        return {}

    def send(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise errors.ClientClosed


def test_images_whose_client_is_closed_are_not_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded())
    client: Any = _ClosedClient()
    report = UploadReport(1, as_json=False, progress=False)
    run = UploadRun(client, report, UploadOptions(), Patience(lambda: None, 0, lambda _: None))
    run.send_all([FoundFile(path, is_given=True)])
    report.print_summary()
    assert capsys.readouterr() == ("", "1 file: 1 not sent\n")


def test_a_client_that_is_closed_says_so() -> None:
    client = Client("http://127.0.0.1:9")
    client.close()
    with pytest.raises(errors.ClientClosed, match=r"The client is closed\."):
        client.limits()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["upload", "--help"], ["--version"], ["doctor"]])
def test_a_full_disk_ends_any_command_with_three_lines(arguments: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "darkroom", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "cause", "try"], done.stderr
