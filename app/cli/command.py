"""The `darkroom` command."""

import io
import json
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from app.cli.keys import keys
from app.cli.upload import upload
from app.domain.errors import ConfigurationError

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Darkroom from the command line.")
cli.add_typer(keys, name="key")
cli.command()(upload)


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
        int, typer.Option(min=0, help="Send pending images older than this to the worker again.")
    ] = 15,
) -> None:
    """Bring to rest what a crash left half-done, and report objects that belong to no record."""
    from app.bootstrap import open_backends
    from app.domain.reconcile import Reconciler
    from app.settings import load

    backends = open_backends(load())
    reconciler = Reconciler(backends.store, backends.images, backends.queue)
    report = reconciler.run(requeue_after=timedelta(minutes=requeue_minutes))
    for orphan in reconciler.orphans(report, remove=remove_orphans):
        typer.echo(f"orphan: {orphan.key} ({orphan.size} bytes)", err=True)
    typer.echo(json.dumps(asdict(report)) if as_json else str(report))
    raise typer.Exit(1 if report.errors else 0)


@cli.command()
def redrive() -> None:
    """Send the events again that failed in every attempt, once the cause is repaired; their images can become ready."""
    from app.bootstrap import open_backends
    from app.settings import load

    typer.echo(f"sent again: {open_backends(load()).queue.redrive()}")


def main() -> None:
    """The console script: settings that make no sense end it with one sentence, not a traceback."""
    for stream in (sys.stdout, sys.stderr):  # a name with letters that the terminal has not is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli()
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
