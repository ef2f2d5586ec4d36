"""`darkroom upload`: send images from the command line directly to the store."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from darkroom.cli.direct import DarkroomClient, InvalidArgument
from darkroom.cli.image_file import files_in, to_text
from darkroom.cli.upload_report import UploadReport, print_failure
from darkroom.cli.upload_run import UploadRun

#: Exit codes: every image is ready (or sent, if the key cannot read); at least one is not; interrupted by the user.
DONE, NOT_DONE, INTERRUPTED = 0, 1, 130
_INPUT, _FIELDS, _OUTPUT = "Input", "Fields", "Output"


def upload(
    files: Annotated[
        list[Path], typer.Argument(help="Images, or folders of images.", metavar="FILE", rich_help_panel=_INPUT)
    ],
    *,
    url: Annotated[
        str, typer.Option(envvar="DARKROOM_URL", help="Url of the server.", rich_help_panel=_INPUT)
    ] = "http://127.0.0.1:8000",
    title: Annotated[str | None, typer.Option(help="Title of the images.", rich_help_panel=_FIELDS)] = None,
    alt: Annotated[
        str | None, typer.Option(help="Alternative text: what the image shows.", rich_help_panel=_FIELDS)
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag. Can be repeated.", rich_help_panel=_FIELDS)] = None,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to wait until each image is processed; 0: do not wait.",
            rich_help_panel=_OUTPUT,
        ),
    ] = 120,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON record per line.", rich_help_panel=_OUTPUT)
    ] = False,
) -> None:
    """Upload images. The API key, if required, is read from DARKROOM_API_KEY.

    Examples:

    darkroom upload photo.heic scan.tiff

    darkroom upload holiday/ --tag sea --tag 2026

    DARKROOM_URL=https://img.example.org darkroom upload holiday/ --json

    Files that are stored already are not sent. Run the command again to
    continue after an interruption: no image is stored twice.

    Exit codes: 0 every image is ready, 1 at least one is not, 2 wrong usage,
    130 interrupted. With --wait 0, or with a key without the scope `read`,
    an image counts as ready when it has been sent.
    """
    fields = {
        "title": title and to_text(title),
        "alt": alt and to_text(alt),
        "tags": [to_text(each) for each in tag or ()],
    }
    report = UploadReport(sum(1 for _ in _found(files)), as_json=as_json)
    client = _client(url)
    run = UploadRun(client, report, wait=wait, fields=fields, complete=as_json)
    try:
        with client, report.bars:
            run.send_all(_found(files))
        code = DONE if run.good else NOT_DONE
    except KeyboardInterrupt:
        code = INTERRUPTED
        run.interrupt()
        typer.echo("Interrupted. Run the command again to continue.", err=True)
    if run.failure is not None:
        print_failure(run.failure, client.address)
    report.print_summary()
    raise typer.Exit(code)


def _found(files: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield each file with the argument that names it. The folders are read again each time, instead of being held."""
    return ((given, path) for given in files for path in files_in(given))


def _client(url: str) -> DarkroomClient:
    try:
        return DarkroomClient(url, os.environ.get("DARKROOM_API_KEY"))
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from None
    except (OSError, ValueError) as error:  # from proxy and certificate settings of the environment
        raise typer.BadParameter(f"Proxy or certificate settings of the environment cannot be used: {error}") from None
