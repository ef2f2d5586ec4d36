"""The `darkroom` command."""

import io
import json
import logging
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app import __version__
from app.cli.keys import keys
from app.cli.upload import upload
from app.domain.errors import ConfigurationError, PortError

if TYPE_CHECKING:
    from app.bootstrap import Backends

_YEAR_MINUTES = 366 * 24 * 60

cli = typer.Typer(no_args_is_help=True, add_completion=False)
cli.add_typer(keys, name="key")
cli.command()(upload)


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
    from app.cli.worker import main as run_worker

    run_worker()


@cli.command()
def reconcile(
    *,
    remove_orphans: Annotated[
        bool, typer.Option("--remove-orphans", help="Remove objects that belong to no record.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    requeue_minutes: Annotated[
        int,
        typer.Option(min=0, max=_YEAR_MINUTES, help="Send pending images older than this to the worker again; 0: all."),
    ] = 15,
) -> None:
    """Bring to rest what a crash left half-done, and report objects that belong to no record."""
    from app.domain.reconcile import Reconciler

    backends = _backends()
    reconciler = Reconciler(backends.store, backends.images, backends.queue)
    report = reconciler.run(requeue_after=timedelta(minutes=requeue_minutes))
    for orphan in reconciler.orphans(report, remove=remove_orphans):
        typer.echo(f"orphan: {orphan.key} ({orphan.size} bytes)", err=True)
    typer.echo(json.dumps(asdict(report)) if as_json else str(report))
    raise typer.Exit(1 if report.errors else 0)


@cli.command()
def redrive() -> None:
    """Send the events again that failed in every attempt, once the cause is repaired; their images can become ready."""
    typer.echo(f"sent again: {_backends().queue.redrive()}")


def _backends() -> "Backends":
    """The stores that are there: made anew they would have nothing to put right, and hide a wrong setting."""
    from app.bootstrap import open_backends
    from app.settings import load

    handler = logging.StreamHandler()
    handler.setFormatter(_Brief())
    logging.basicConfig(handlers=[handler])
    settings = load()
    if settings.embedded and not settings.data_folder.is_dir():
        raise ConfigurationError(f"DARKROOM_STORAGE_URL: there is no folder {settings.data_folder}")
    return open_backends(settings)


class _Brief(logging.Formatter):
    """What happened and why, without the way there."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        return f"  {ei[1]}"


def main() -> None:
    """The console script: settings that make no sense, and stores that refuse, end it with one sentence."""
    for stream in (sys.stdout, sys.stderr):  # a name with letters that the terminal has not is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli()
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    except PortError as error:
        raise SystemExit(f"A store refused: {error}") from None
