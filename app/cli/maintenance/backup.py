"""`darkroom backup`: create, verify and restore backups of a self-hosted installation."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.filesize import decimal

from app import __version__
from app.adapters.filesystem import locate
from app.adapters.sqlite import SqliteFiles
from app.cli.failures import DONE, INTERRUPTED, NOT_DONE, USAGE, fail, reports_failures
from app.cli.long_run import Progress, Stop, count_images
from app.cli.options import JSON
from app.domain.maintenance.backup.create import CreateReport, Creation, Installation, Interrupted
from app.domain.maintenance.backup.manifest import DATABASE
from app.domain.maintenance.backup.restore import Restoration
from app.domain.maintenance.backup.target import find_backup, open_target
from app.domain.maintenance.backup.verify import Verification
from app.domain.models import utcnow
from app.settings import load

backup = typer.Typer(no_args_is_help=True, add_completion=False, help="Backups of a self-hosted installation.")

TARGET = typer.Argument(metavar="TARGET", help="Folder of backups, best on another disk.", show_default=False)
SOURCE = typer.Argument(
    metavar="TARGET", help="Folder of backups, of which the newest is used, or one of them.", show_default=False
)

R = TypeVar("R")
_Run = Callable[[Callable[[], bool], Callable[[int, str], None]], R]


@backup.callback()
def _group() -> None:
    """Backups of a self-hosted installation. On AWS, use the backups of S3 and DynamoDB (docs/aws.md)."""


@backup.command()
@reports_failures
def create(
    target: Annotated[Path, TARGET],
    *,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Remove the oldest backups in TARGET but N, after the new one is complete."
        ),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Back up a self-hosted installation. It can run while the server runs.

    Examples:

    darkroom backup create /srv/backups

    darkroom backup create /srv/backups --keep 14

    darkroom backup create /srv/backups --json

    Each backup is a folder named by the UTC time, with the database, the
    secret, and all originals and variants. Files that have not changed since
    the previous backup are hard links to it and take no space. An interrupted
    run, or a full disk, leaves earlier backups as they are.

    Exit codes: 0 done, 1 not done, or the data folder lacks files, 2 wrong
    usage or settings, 130 interrupted.
    """
    place = _read_place()
    if not place.database.is_file():
        fail(
            "there is nothing to back up", f"database not found: {place.database}", "check DARKROOM_DATABASE_URL", USAGE
        )
    with open_target(target, place.data) as opened:
        creation = Creation(place, opened, SqliteFiles(), locate)
        report = _finish(
            lambda stop, progress: creation.run(
                utcnow(), version=__version__, keep=keep, is_stopped=stop, progress=progress
            ),
            "backed up",
            "Interrupted. Nothing was written; earlier backups are unchanged.",
        )
    _say_lost(report)
    typer.echo(json.dumps(asdict(report)) if as_json else _created(report))
    raise typer.Exit(DONE if report.is_good else NOT_DONE)


@backup.command()
@reports_failures
def verify(source: Annotated[Path, SOURCE], *, as_json: Annotated[bool, JSON] = False) -> None:
    """Verify a backup: the database, the bytes of every original, and the size of every variant.

    Examples:

    darkroom backup verify /srv/backups

    darkroom backup verify /srv/backups/2026-11-29T03-00-00Z

    darkroom backup verify /srv/backups --json

    It reads the whole backup, changes nothing, and needs no settings.

    Exit codes: 0 it is as it was written, 1 something is missing or damaged,
    130 interrupted.
    """
    verification = Verification(find_backup(source), SqliteFiles(), locate)
    report = _finish(verification.run, "verified", "Interrupted.")
    _say(report.problems)
    typer.echo(
        json.dumps(asdict(report)) if as_json else _summary(report.name, "verified", report, len(report.problems))
    )
    raise typer.Exit(NOT_DONE if report.problems else DONE)


@backup.command()
@reports_failures
def restore(
    source: Annotated[Path, SOURCE],
    *,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Data folder to create, with the database in it. Default: the settings'."),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Restore a backup into an empty folder. Then start the server on it.

    Examples:

    darkroom backup restore /srv/backups

    darkroom backup restore /srv/backups/2026-11-29T03-00-00Z --into restored

    darkroom backup restore /srv/backups --json

    Files are copied, and the backup is not changed. The database is written
    last, so the server does not start on an unfinished folder.

    Exit codes: 0 done, 1 not done, or the backup lacks files, 2 wrong usage
    or settings, 130 interrupted.
    """
    place = _read_place() if into is None else Installation(into.absolute(), into.absolute() / DATABASE)
    restoration = Restoration(find_backup(source), place, SqliteFiles(), locate)
    report = _finish(restoration.run, "restored", "Interrupted. The folder is empty again.")
    _say(report.problems)
    typer.echo(
        json.dumps(asdict(report)) if as_json else _summary(report.name, "restored", report, len(report.problems))
    )
    raise typer.Exit(NOT_DONE if report.problems else DONE)


def _read_place() -> Installation:
    settings = load()
    if not settings.self_hosted:
        cause = f"DARKROOM_STORAGE_URL is {settings.storage_url}"
        fail("backups are for self-hosted installations", cause, "the backups of S3 and DynamoDB (docs/aws.md)", USAGE)
    return Installation(settings.data_folder, settings.database_file)


def _finish(run: _Run[R], what: str, interrupted: str) -> R:
    """Run until the end, or until a signal ends the command."""
    stop, progress = Stop(), Progress(what)
    try:
        with stop.on_signals():
            return run(lambda: stop.wait(0), progress.show)
    except Interrupted:
        typer.echo(interrupted, err=True)
        raise SystemExit(INTERRUPTED) from None
    finally:
        progress.end()


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)


def _say_lost(report: CreateReport) -> None:
    _say([f"{key}: missing in the data folder" for key in report.missing])
    _say([f"{key}: damaged in the data folder" for key in report.damaged])
    _say([f"{key}: missing or damaged in the data folder, copied from the previous backup" for key in report.rescued])
    if report.links_refused:
        typer.echo(
            f"The file system of the target refused hard links ({report.links_refused}): unchanged files were copied "
            "and take their full space again.",
            err=True,
        )


def _created(report: CreateReport) -> str:
    lost = len(report.missing) + len(report.damaged) + len(report.rescued)
    parts = [f"{report.copied:,} files copied ({decimal(report.copied_bytes)})", f"{report.linked:,} linked"]
    parts += [f"{report.changed:,} changed meanwhile"] if report.changed else []
    parts += [f"{lost:,} missing or damaged"] if lost else []
    parts += [f"{len(report.removed):,} old backups removed"] if report.removed else []
    return f"{report.name}: {count_images(report.images)}, {', '.join(parts)}"


def _summary(name: str, done: str, report: Any, problems: int) -> str:
    counts = f"{count_images(report.images)}, {report.files:,} files ({decimal(report.bytes)}) {done}"
    return f"{name}: {counts}, {problems:,} missing or damaged" if problems else f"{name}: {counts}"
