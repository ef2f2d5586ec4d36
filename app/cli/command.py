"""The `darkroom` command."""

import io
import sys
from typing import Annotated

import typer

from app import __version__, logs
from app.cli.keys import keys
from app.cli.reconcile import reconcile
from app.cli.upload import upload
from app.domain.errors import ConfigurationError, PortError

cli = typer.Typer(no_args_is_help=True, add_completion=False)
cli.add_typer(keys, name="key")
cli.command()(upload)
cli.command()(reconcile)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"darkroom {__version__}")
        raise typer.Exit


@cli.callback()
def _darkroom(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Darkroom from the command line.

    `upload` talks to a service. The others are for who runs one, and take its settings: DARKROOM_STORAGE_URL and so on.
    """


@cli.command()
def worker() -> None:
    """Run the embedded worker alone, for a server that was started without one."""
    from app.embedded_worker import main as run_worker

    run_worker()


@cli.command()
def redrive() -> None:
    """Send the events again that failed in every attempt, once the cause is repaired; their images can become ready.

    One event is sent for each image, however many of its events failed.
    """
    from app.cli.backends import open_existing
    from app.domain.images.notifications import images_named

    _, backends = open_existing()
    typer.echo(f"images sent again: {backends.queue.redrive(images_named)}")


def main() -> None:
    """The console script: settings that make no sense, and stores that refuse, end it with one sentence."""
    for stream in (sys.stdout, sys.stderr):  # a name with letters that the terminal has not is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli()
    except ConfigurationError as error:
        logs.end_before_start(error)
    except PortError as error:
        raise SystemExit(f"A store refused: {error}") from None
