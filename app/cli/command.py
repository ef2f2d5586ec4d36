"""The `darkroom` command."""

import io
import sys
from typing import Annotated

import typer

from app import __version__, logs
from app.cli.delete import delete
from app.cli.keys import keys, url
from app.cli.migrate import migrate
from app.cli.reconcile import reconcile
from app.cli.reprocess import reprocess
from app.cli.upload import upload
from app.domain.errors import ConfigurationError, PortError

cli = typer.Typer(no_args_is_help=True, add_completion=False)
cli.add_typer(keys, name="key")
cli.command()(upload)
cli.command()(reconcile)
cli.command()(reprocess)
cli.command()(migrate)
cli.command()(delete)
cli.command()(url)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"darkroom {__version__}")
        raise typer.Exit


@cli.callback()
def _darkroom(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Darkroom from the command line.

    `upload` sends images to a server. The other commands are for its operator and read its settings from DARKROOM_*.
    """


@cli.command()
def worker() -> None:
    """Run only the worker process, for a server that was started without one."""
    from app.embedded_worker import main as run_worker

    run_worker()


@cli.command()
def redrive() -> None:
    """Process images again whose events failed in all attempts. Repair the cause first.

    One event is sent per image, even if several of its events failed.
    """
    from app.cli.backends import open_existing
    from app.domain.images.notifications import images_named

    _, backends = open_existing()
    typer.echo(f"images sent again: {backends.queue.redrive(images_named)}")


def main() -> None:
    """Run the console script. Wrong settings and unreachable stores end it with one sentence."""
    for stream in (sys.stdout, sys.stderr):  # names may have letters that the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli()
    except ConfigurationError as error:
        logs.end_before_start(error)
    except PortError as error:
        raise SystemExit(f"The command failed: {error}") from None
