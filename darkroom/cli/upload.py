"""`darkroom upload`: send images from the command line directly to the store."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from darkroom.cli.console import DONE, INTERRUPTED, NOT_DONE, print_error, write_line
from darkroom.cli.direct import FileClient
from darkroom.cli.failures import print_failure
from darkroom.cli.found_files import STDIN, FoundFile, Rules, find_files, read_names
from darkroom.cli.image_file import to_text
from darkroom.cli.options import DEFAULT_URL, Visibility
from darkroom.cli.patience import Patience
from darkroom.cli.upload_report import UploadReport
from darkroom.cli.upload_run import UploadOptions, UploadRun
from darkroom.errors import InvalidArgument

_INPUT, _FIELDS, _SENDING, _OUTPUT = "Input", "Fields", "Sending", "Output"
_PIECE = 1024 * 1024
#: Longest name of a file in most file systems.
_NAME_BYTES = 255


class OnError(StrEnum):
    """Continuation after a file that was refused or failed."""

    CONTINUE = "continue"
    STOP = "stop"


def upload(  # noqa: PLR0913 - all options of the command
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, folders of images, patterns such as '*.jpg', urls of images, or - for standard input.",
            metavar="FILE|DIR|GLOB|URL|-",
            show_default=False,
            rich_help_panel=_INPUT,
        ),
    ] = None,
    *,
    from_file: Annotated[
        str | None,
        typer.Option(
            help="Read file names and urls from this file, one in each line, or - for standard input.",
            metavar="FILE",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out files that match, in the syntax of .gitignore. Can be repeated.",
            metavar="PATTERN",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    filename: Annotated[
        str | None, typer.Option(help="Name of the image on standard input.", metavar="NAME", rich_help_panel=_INPUT)
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the images.", rich_help_panel=_FIELDS)] = None,
    alt: Annotated[
        str | None, typer.Option(help="Alternative text: what the image shows.", rich_help_panel=_FIELDS)
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag. Can be repeated.", rich_help_panel=_FIELDS)] = None,
    tags_from_folders: Annotated[
        bool,
        typer.Option(
            "--tags-from-folders", help="Tag each image with the names of its folders.", rich_help_panel=_FIELDS
        ),
    ] = False,
    visibility: Annotated[
        Visibility | None,
        typer.Option(help="Who can see the images. Default: as the server is set.", rich_help_panel=_FIELDS),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(help="Owner of the images. Needs a key with the scope admin.", rich_help_panel=_FIELDS),
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="DARKROOM_URL", help="Url of the server.", rich_help_panel=_SENDING)
    ] = DEFAULT_URL,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, max=32, metavar="N", help="Files that are sent at the same time.", rich_help_panel=_SENDING
        ),
    ] = 4,
    timeout: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Seconds to keep trying when a server that has answered no longer does.",
            rich_help_panel=_SENDING,
        ),
    ] = 60,
    on_error: Annotated[
        OnError,
        typer.Option(help="After a file that is refused or fails: send the others, or not.", rich_help_panel=_SENDING),
    ] = OnError.CONTINUE,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Seconds to wait until each image is processed; 0: do not wait.",
            rich_help_panel=_SENDING,
        ),
    ] = 120,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which files would be sent, and send none.", rich_help_panel=_OUTPUT)
    ] = False,
    no_progress: Annotated[
        bool,
        typer.Option(
            "--no-progress", help="Show no progress bars. They are shown on terminals only.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON record per line.", rich_help_panel=_OUTPUT)
    ] = False,
) -> None:
    """Upload images, or folders of images. Files that are stored already are not sent.

    Examples:

    darkroom upload photo.heic scan.tiff

    darkroom upload holiday/ --tag sea --tags-from-folders --ignore '*.png'

    darkroom upload https://img.example.org/photo.jpg --tag sea

    find . -name '*.jpg' -print0 | darkroom upload --from-file - --json

    Run the command again to continue after an interruption: no image is
    stored twice. Images that are known keep the fields that they have.
    The server fetches urls, from the hosts in its DARKROOM_FETCH_HOSTS.
    Hidden files, thumbnails of other programs, and files that a
    .darkroomignore in their folder names are left out.

    The API key, if required, is read from DARKROOM_API_KEY.

    Exit codes: 0 every image is stored or known, 1 at least one was refused
    or failed, 2 wrong usage, 3 the server cannot be reached, 4 the API key
    is not allowed to, 130 interrupted. With --wait 0, or with a key without
    the scope `read`, an image counts as stored when it has been sent. It is
    in `darkroom list` once it is processed.
    """
    given: Sequence[str | Path | FoundFile] = _arguments(files or [], from_file, filename)
    rules = _rules(ignore or [])
    options = UploadOptions(
        wait=wait,
        fields={
            "title": title and to_text(title),
            "alt": alt and to_text(alt),
            "tags": [to_text(each) for each in tag or ()],
            "visibility": visibility and visibility.value,
            "owner": owner and to_text(owner),
        },
        complete=as_json,
        jobs=jobs,
        dry_run=dry_run,
        stop_on_error=on_error is OnError.STOP,
        tags_from_folders=tags_from_folders,
    )
    client = _client(url)
    with ExitStack() as stack:
        if STDIN in given:
            given = [stack.enter_context(_saved_input(filename)) if each == STDIN else each for each in given]
        raise typer.Exit(
            _run(
                client,
                lambda: find_files(given, rules),
                options,
                timeout=timeout,
                as_json=as_json,
                progress=not no_progress,
            )
        )


def _run(
    client: FileClient,
    find: Callable[[], Iterator[FoundFile]],
    options: UploadOptions,
    *,
    timeout: float,
    as_json: bool,
    progress: bool,
) -> int:
    """Send the files and print the results. The folders are read twice, instead of being held. Return the exit code."""
    report = UploadReport(sum(1 for _ in find()), as_json=as_json, progress=progress)
    run = UploadRun(client, report, options, Patience(client.ping, timeout, report.tell_lost))
    try:
        with client, report.bars:
            run.send_all(find())
        code = DONE if run.good else NOT_DONE
    except KeyboardInterrupt:
        code = INTERRUPTED
        run.interrupt()
        write_line("Interrupted. Run the command again to continue.", error=True)
    if run.failure is not None:
        code = print_failure(run.failure, client.address)
    report.print_summary()
    return code


def _arguments(files: list[str], from_file: str | None, filename: str | None) -> Sequence[str | Path]:
    """Return the names of all files and folders. Raises `BadParameter`."""
    from_input = files.count(STDIN) + (from_file == STDIN)
    if not files and from_file is None:
        raise typer.BadParameter("give a file, a folder, a url, or --from-file", param_hint="FILE")
    if from_input > 1:
        raise typer.BadParameter("standard input can be read only once", param_hint="-")
    if filename is not None and STDIN not in files:
        raise typer.BadParameter("only with - as a file", param_hint="--filename")
    if filename is not None and not _is_file_name(Path(filename).name):
        raise typer.BadParameter("not the name of a file", param_hint="--filename")
    if from_input and sys.stdin.isatty():
        raise typer.BadParameter("standard input is a terminal: send it a file with `<` or a pipe", param_hint="-")
    if from_file is None:
        return files
    try:
        if from_file == STDIN:
            return [*files, *read_names(sys.stdin.buffer)]
        with Path(from_file).open("rb") as stream:
            return [*files, *read_names(stream)]
    except OSError as error:
        raise typer.BadParameter(f"cannot be read: {error.strerror or error}", param_hint="--from-file") from None


def _rules(patterns: list[str]) -> Rules:
    try:
        return Rules.build(patterns)
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint="--ignore") from None


@contextmanager
def _saved_input(filename: str | None) -> Iterator[FoundFile]:
    """Save standard input in a temporary file for the block, because an image is hashed before it is sent."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="darkroom-"))
            name = Path(Path(filename or "stdin").name)
            path = folder / name
            with path.open("wb") as file:
                while piece := sys.stdin.buffer.read(_PIECE):
                    file.write(piece)
        except OSError as error:
            cause = error.strerror or str(error)
            print_error("cannot save standard input", cause, "give a file, or set TMPDIR to a folder with space")
            raise typer.Exit(NOT_DONE) from None
        yield FoundFile(path, is_given=True, name=name)


def _is_file_name(name: str) -> bool:
    return name not in {"", ".."} and len(os.fsencode(name)) <= _NAME_BYTES


def _client(url: str) -> FileClient:
    try:
        return FileClient(url, os.environ.get("DARKROOM_API_KEY"))
    except InvalidArgument as error:
        raise typer.BadParameter(str(error)) from None
