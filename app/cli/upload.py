"""`darkroom upload`: send images from the command line directly to the store."""

import json
import os
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from app.cli.client import SENT, DarkroomClient, InvalidArgument, Unreachable
from app.cli.image_file import ImageFile, NotAnImage, UploadError, files_in, printable, to_text
from app.cli.ticket_cache import folder

#: Exit codes: every image is ready (or sent, if the key cannot read); at least one is not; interrupted by the user.
DONE, NOT_DONE, INTERRUPTED = 0, 1, 130
#: Codes of refusals that apply to all images.
_PERMANENT = {"key_missing", "key_unknown", "scope_missing"}
_NAME = 40
#: Images are sent ahead of the one that is waited for: at most this many, for at most this time.
_AHEAD, _AHEAD_SECONDS = 8, 2.0


def upload(
    files: Annotated[list[Path], typer.Argument(help="Images, or folders of images.", metavar="FILE")],
    *,
    url: Annotated[str, typer.Option(envvar="DARKROOM_URL", help="Url of the server.")] = "http://127.0.0.1:8000",
    title: Annotated[str | None, typer.Option(help="Title of the images.")] = None,
    alt: Annotated[str | None, typer.Option(help="Alternative text: what the image shows.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag. Can be repeated.")] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until each image is processed; 0: do not wait.")
    ] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON record per line.")] = False,
) -> None:
    """Upload images. The API key, if required, is read from DARKROOM_API_KEY.

    Run the command again to continue after an interruption: no image is stored twice.

    Exit codes: 0 every image is ready, 1 at least one is not, 2 wrong usage,
    130 interrupted. With --wait 0, or with a key without the scope `read`,
    an image counts as ready when it has been sent.
    """
    fields = {
        "title": title and to_text(title),
        "alt": alt and to_text(alt),
        "tags": [to_text(each) for each in tag or ()],
    }
    run = _Run(wait, fields, as_json=as_json)
    found = [(given, each) for given in files for each in files_in(given)]
    try:
        with _client(url) as client, run.bars:
            for number, (given, path) in enumerate(found, 1):
                if not run.send(client, given, path, f"{number}/{len(found)} " if len(found) > 1 else ""):
                    break
            run.wait(client)
        code = DONE if run.good == len(found) - run.skipped else NOT_DONE
    except KeyboardInterrupt:
        code = INTERRUPTED
    run.print_summary(len(found), interrupted=code == INTERRUPTED)
    raise typer.Exit(code)


class _Run:
    """One run of the command: progress bars, results, counts.

    The next images are sent while one is processed. Results are printed in the order of the files.
    """

    def __init__(self, wait: float, fields: dict[str, Any], *, as_json: bool) -> None:
        self.good = 0
        #: Number of files in folders that are not images.
        self.skipped = 0
        self._counts: Counter[str] = Counter()
        self._wait, self._fields, self._as_json = wait, fields, as_json
        self._good = {"ready", SENT} if wait else {"ready", SENT, "pending"}
        self._sent: deque[tuple[Path, dict[str, Any], float]] = deque()
        console = Console(stderr=True)
        text = TextColumn("{task.description}", markup=False)  # names may contain markup
        self.bars = Progress(
            text,
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # otherwise output to a file would appear on the terminal
        )

    def send(self, client: DarkroomClient, given: Path, path: Path, place: str) -> bool:
        """Send a file, and print results of earlier ones. Return False if the other files would fail too."""
        name = printable(path.name)
        bar = self.bars.add_task(place + (name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"), total=None)
        hope = True
        try:
            image = ImageFile.read(path)
            self.bars.update(bar, total=image.bytes)
            record = client.upload(image, lambda sent: self.bars.update(bar, completed=sent), **self._fields)
        except UploadError as error:
            if isinstance(error, NotAnImage) and path != given:
                self.skipped += 1
                return True
            hope = not isinstance(error, Unreachable) and error.problem.get("code") not in _PERMANENT
            record = _refused(path, error)
        finally:
            self.bars.remove_task(bar)
        self._sent.append((path, record, time.monotonic()))
        if not hope:
            self._wait = 0
        self.wait(client, ahead=_AHEAD)
        return hope

    def wait(self, client: DarkroomClient, ahead: int = 0) -> None:
        """Wait for images until at most `ahead` are left that were sent recently."""
        while self._sent:
            path, record, since = self._sent[0]
            if record["status"] == "pending" and len(self._sent) <= ahead and time.monotonic() - since < _AHEAD_SECONDS:
                return
            if record["status"] == "pending":
                record = self._await_processing(client, path, record)
            self._sent.popleft()
            self._print_result(path, record)

    def _await_processing(self, client: DarkroomClient, path: Path, record: dict[str, Any]) -> dict[str, Any]:
        size = record.get("bytes")
        bar = self.bars.add_task(f"processing {printable(path.name)[:_NAME]}", total=size, completed=size or 0)
        try:
            return client.wait_until_processed(record, self._wait)
        except Unreachable as error:
            self._wait = 0  # also for the others
            return record | {"detail": str(error)}
        except UploadError as error:
            return _refused(path, error)
        finally:
            self.bars.remove_task(bar)

    def _print_result(self, path: Path, record: dict[str, Any]) -> None:
        good = record["status"] in self._good
        self.good += good
        again = "already stored" if record.get("duplicate") else ""
        self._counts[again if good and again else record["status"]] += 1
        if self._as_json:
            typer.echo(json.dumps(record))
            return
        error = record.get("error") or {}
        why = record.get("detail") or error.get("detail") or ""
        size = f"{record['width']}×{record['height']}" if record.get("width") else ""
        fields = (f"{record['status']:8}", record.get("id", "-"), printable(path), size, again, why)
        typer.echo("  ".join(filter(None, fields)), file=sys.stdout if good else sys.stderr)

    def print_summary(self, found: int, *, interrupted: bool) -> None:
        """Print counts by outcome, unless there was only one file."""
        counts = [f"{number} {what}" for what, number in self._counts.most_common()]
        if self._sent:
            counts.append(f"{len(self._sent)} sent, not checked")
        if self.skipped:
            counts.append(f"{self.skipped} skipped (not images)")
        if not_sent := found - self._counts.total() - len(self._sent) - self.skipped:
            counts.append(f"{not_sent} not sent")
        if interrupted:
            typer.echo(f"Interrupted: {', '.join(counts)}. Run the command again to continue.", err=True)
        elif found != 1:
            typer.echo(f"{', '.join(counts) or 'No images found'}.", err=True)


def _refused(path: Path, error: UploadError) -> dict[str, Any]:
    return {"status": "refused", "file": to_text(path), "detail": str(error), "problem": error.problem}


def _client(url: str) -> DarkroomClient:
    try:
        return DarkroomClient(url, os.environ.get("DARKROOM_API_KEY"), notes=folder())
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from None
    except (OSError, ValueError) as error:  # from proxy and certificate settings of the environment
        raise typer.BadParameter(f"Proxy or certificate settings of the environment cannot be used: {error}") from None
