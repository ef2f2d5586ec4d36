"""`darkroom migrate`: bring images of earlier versions to the present one."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.backends import open_existing
from app.cli.failures import reports_failures
from app.cli.long_run import INTERRUPTED, Progress, count_images, run_resumable
from app.cli.options import AFTER, DRY_RUN, JSON, SELECTION, check_id
from app.domain.images.editing import Editor
from app.domain.maintenance.migration import Migration, MigrationReport
from app.domain.models import Visibility


@reports_failures
def migrate(
    *,
    visibility: Annotated[
        Visibility | None,
        typer.Option(
            help="Visibility of these images. Default: public without API keys and with a CDN, otherwise private.",
            rich_help_panel=SELECTION,
        ),
    ] = None,
    after: Annotated[str | None, AFTER] = None,
    dry_run: Annotated[bool, DRY_RUN] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Give images of version 0.1.0 a visibility, and complete the index of all images.

    Variants move to the place of the visibility. Complete entries of the index
    make images appear in lists by visibility and among look-alikes.

    Examples:

    darkroom migrate --dry-run

    darkroom migrate

    darkroom migrate --visibility private

    It can run while the service runs, and be repeated: images that have a
    visibility and all entries stay as they are. Ctrl-C ends it, and prints the
    --after to continue with.

    Exit codes: 0 done, 1 some images failed, 2 wrong usage, 3 a store does
    not answer, 4 a right is missing, 130 interrupted.
    """
    after = check_id(after)
    settings, backends = open_existing()
    chosen = visibility or _as_before(settings.auth, settings.cdn_url)
    run = Migration(backends.images, Editor(backends.images, backends.queue, backends.renderings), chosen)
    report, again = run.report, f"migrate --visibility {chosen}"
    run_resumable(
        lambda pause: run.run(after=after, dry_run=dry_run, pause=pause),
        report,
        again,
        Progress("images"),
        lambda: report.looked_at,
    )
    if report.complete and report.failed:
        typer.echo(f"Run the command again for the images that failed: darkroom {again}", err=True)
    typer.echo(json.dumps(asdict(report)) if as_json else _summary(report, dry_run=dry_run))
    raise typer.Exit((1 if report.failed else 0) if report.complete else INTERRUPTED)


def _as_before(auth: str, cdn_url: str | None) -> Visibility:
    """Return the visibility that images of 0.1.0 had: urls of their variants were signed with API keys, except on a
    CDN."""
    return Visibility.PUBLIC if auth == "none" or cdn_url else Visibility.PRIVATE


def _summary(report: MigrationReport, *, dry_run: bool) -> str:
    counts = [f"{report.migrated:,} {'to become' if dry_run else 'now'} {report.visibility}"]
    counts += [f"{report.unchanged:,} unchanged"] if report.unchanged else []
    counts += [f"{report.indexed:,} added to the index"] if report.indexed else []
    counts += [f"{report.failed:,} failed"] if report.failed else []
    return f"{count_images(report.looked_at)}: {', '.join(counts)}"
