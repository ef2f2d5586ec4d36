"""`darkroom upload`: pictures from the command line, straight to the store."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from app.cli.client import SENT, BadCall, DarkroomClient
from app.cli.picture import Picture, UploadError, shown
from app.cli.under_way import folder

#: Every picture is ready, or sent where more cannot be told; one or more is not.
DONE, NOT_DONE = 0, 1
_GOOD = {"ready", SENT}


def upload(
    files: Annotated[list[Path], typer.Argument(help="Pictures to send.", metavar="FILE...")],
    *,
    url: Annotated[str, typer.Option(envvar="DARKROOM_URL", help="The service's address.")] = "http://127.0.0.1:8000",
    title: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    alt: Annotated[str | None, typer.Option(help="What the picture shows.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for each picture to be developed.")] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="Print one record a line, as JSON.")] = False,
) -> None:
    """Send pictures; `DARKROOM_API_KEY` is the key, where one is asked for.

    Ends with 0 when every picture is ready, 1 when one is not, 2 when the call makes no sense. With a key that may not
    look at pictures, none is waited for, and one that has arrived is as good as ready.
    """
    words = {"title": title, "alt": alt, "tags": tag}
    console = Console(stderr=True)
    failures = 0
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        _client(url) as client,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars,
    ):
        for path in files:
            bar = bars.add_task(shown(path.name), total=None)
            try:
                record = _one(client, path, bars, bar, wait, words)
            except UploadError as error:
                failures += 1
                record = {"status": "refused", "file": shown(path), "detail": str(error), "problem": error.problem}
            else:
                failures += record["status"] not in _GOOD
            bars.remove_task(bar)
            _tell(path, record, as_json=as_json)
    raise typer.Exit(NOT_DONE if failures else DONE)


def _client(url: str) -> DarkroomClient:
    try:
        return DarkroomClient(url, os.environ.get("DARKROOM_API_KEY"), notes=folder())
    except BadCall as error:
        raise typer.BadParameter(str(error)) from None


def _one(
    client: DarkroomClient, path: Path, bars: Progress, bar: TaskID, wait: float, words: dict[str, Any]
) -> dict[str, Any]:
    picture = Picture.of(path)
    bars.update(bar, total=picture.bytes)
    record = client.upload(picture, lambda sent: bars.update(bar, completed=sent), **words)
    bars.update(bar, description=f"{shown(path.name)} (developing)")
    return client.settled(record, wait)


def _tell(path: Path, record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(record))
        return
    error = record.get("error") or {}
    why = record.get("detail") or error.get("detail") or ""
    size = f"{record['width']}×{record['height']}" if record.get("width") else ""
    again = "already there" if record.get("duplicate") else ""
    words = (f"{record['status']:8}", record.get("id", "-"), shown(path), size, again, why)
    typer.echo("  ".join(filter(None, words)), file=sys.stdout if record["status"] in _GOOD else sys.stderr)
