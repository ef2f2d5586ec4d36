"""`darkroom upload`: pictures from the command line, straight to the store."""

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

from app.cli.client import SENT, BadCall, DarkroomClient, Unreachable
from app.cli.picture import NotAPicture, Picture, UploadError, files_in, shown, text_of
from app.cli.under_way import folder

#: Every picture is ready, or sent where more cannot be told; one or more is not; the user has had enough.
DONE, NOT_DONE, INTERRUPTED = 0, 1, 130
#: Refusals that every other picture would meet too.
_HOPELESS = {"key_missing", "key_unknown", "scope_missing"}
_NAME = 40
#: How many pictures may have been sent before one is waited for, and how long ago.
_AHEAD, _AHEAD_SECONDS = 8, 2.0


def upload(
    files: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.", metavar="FILE")],
    *,
    url: Annotated[str, typer.Option(envvar="DARKROOM_URL", help="The service's address.")] = "http://127.0.0.1:8000",
    title: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    alt: Annotated[str | None, typer.Option(help="What the picture shows.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for each picture to be developed; 0: having arrived will do.")
    ] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="Print one record a line, as JSON.")] = False,
) -> None:
    """Send pictures. Where a key is asked for, it is taken from DARKROOM_API_KEY.

    Run it again to go on after an interruption: no picture is stored twice.

    Exit codes: 0 every picture is ready, 1 one is not, 2 the call makes no sense,
    130 interrupted. With a key that may not look at pictures, or without waiting,
    one that has arrived is as good as ready.
    """
    words = {
        "title": title and text_of(title),
        "alt": alt and text_of(alt),
        "tags": [text_of(each) for each in tag or ()],
    }
    run = _Run(wait, words, as_json=as_json)
    found = [(given, each) for given in files for each in files_in(given)]
    try:
        with _client(url) as client, run.bars:
            for number, (given, path) in enumerate(found, 1):
                if not run.send(client, given, path, f"{number}/{len(found)} " if len(found) > 1 else ""):
                    break
            run.settle(client)
        code = DONE if run.good == len(found) - run.left_alone else NOT_DONE
    except KeyboardInterrupt:
        code = INTERRUPTED
    run.sum_up(len(found), interrupted=code == INTERRUPTED)
    raise typer.Exit(code)


class _Run:
    """One run of the command: what it shows, and what it counts.

    The next pictures are sent while one is developed. What became of them is told in their order.
    """

    def __init__(self, wait: float, words: dict[str, Any], *, as_json: bool) -> None:
        self.good = 0
        #: Files of folders that are no pictures.
        self.left_alone = 0
        self._counts: Counter[str] = Counter()
        self._wait, self._words, self._as_json = wait, words, as_json
        self._good = {"ready", SENT} if wait else {"ready", SENT, "pending"}
        self._sent: deque[tuple[Path, dict[str, Any], float]] = deque()
        console = Console(stderr=True)
        text = TextColumn("{task.description}", markup=False)  # a name is not to be taken for markup
        self.bars = Progress(
            text,
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # else what goes to a file would go to the terminal
        )

    def send(self, client: DarkroomClient, given: Path, path: Path, place: str) -> bool:
        """Send one, and say what became of those before; whether there is any use in sending more."""
        name = shown(path.name)
        bar = self.bars.add_task(place + (name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"), total=None)
        hope = True
        try:
            picture = Picture.of(path)
            self.bars.update(bar, total=picture.bytes)
            record = client.upload(picture, lambda sent: self.bars.update(bar, completed=sent), **self._words)
        except UploadError as error:
            if isinstance(error, NotAPicture) and path != given:
                self.left_alone += 1
                return True
            hope = not isinstance(error, Unreachable) and error.problem.get("code") not in _HOPELESS
            record = _refused(path, error)
        finally:
            self.bars.remove_task(bar)
        self._sent.append((path, record, time.monotonic()))
        if not hope:
            self._wait = 0
        self.settle(client, ahead=_AHEAD)
        return hope

    def settle(self, client: DarkroomClient, ahead: int = 0) -> None:
        """Wait for pictures to be developed until so many are left, and none is that was sent a while ago."""
        while self._sent:
            path, record, since = self._sent[0]
            if record["status"] == "pending" and len(self._sent) <= ahead and time.monotonic() - since < _AHEAD_SECONDS:
                return
            if record["status"] == "pending":
                record = self._developed(client, path, record)
            self._sent.popleft()
            self._tell(path, record)

    def _developed(self, client: DarkroomClient, path: Path, record: dict[str, Any]) -> dict[str, Any]:
        size = record.get("bytes")
        bar = self.bars.add_task(f"developing {shown(path.name)[:_NAME]}", total=size, completed=size or 0)
        try:
            return client.settled(record, self._wait)
        except Unreachable as error:
            self._wait = 0  # for the others that were sent
            return record | {"detail": str(error)}
        except UploadError as error:
            return _refused(path, error)
        finally:
            self.bars.remove_task(bar)

    def _tell(self, path: Path, record: dict[str, Any]) -> None:
        good = record["status"] in self._good
        self.good += good
        again = "already there" if record.get("duplicate") else ""
        self._counts[again if good and again else record["status"]] += 1
        if self._as_json:
            typer.echo(json.dumps(record))
            return
        error = record.get("error") or {}
        why = record.get("detail") or error.get("detail") or ""
        size = f"{record['width']}×{record['height']}" if record.get("width") else ""
        words = (f"{record['status']:8}", record.get("id", "-"), shown(path), size, again, why)
        typer.echo("  ".join(filter(None, words)), file=sys.stdout if good else sys.stderr)

    def sum_up(self, found: int, *, interrupted: bool) -> None:
        """Say how many became what, where there was not just one."""
        counts = [f"{number} {what}" for what, number in self._counts.most_common()]
        if self._sent:
            counts.append(f"{len(self._sent)} sent and not looked at")
        if self.left_alone:
            counts.append(f"{self.left_alone} left alone, being no pictures")
        if not_sent := found - self._counts.total() - len(self._sent) - self.left_alone:
            counts.append(f"{not_sent} not sent")
        if interrupted:
            typer.echo(f"Interrupted: {', '.join(counts)}. Run it again to go on.", err=True)
        elif found != 1:
            typer.echo(f"{', '.join(counts) or 'No pictures there'}.", err=True)


def _refused(path: Path, error: UploadError) -> dict[str, Any]:
    return {"status": "refused", "file": text_of(path), "detail": str(error), "problem": error.problem}


def _client(url: str) -> DarkroomClient:
    try:
        return DarkroomClient(url, os.environ.get("DARKROOM_API_KEY"), notes=folder())
    except BadCall as error:
        raise typer.BadParameter(str(error)) from None
    except (OSError, ValueError) as error:  # of the environment's proxies and certificates
        raise typer.BadParameter(
            f"The proxy or certificates that the environment names are of no use: {error}"
        ) from None
