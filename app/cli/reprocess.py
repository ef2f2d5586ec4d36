"""`darkroom reprocess`: have many images rendered again."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from app.cli.backends import open_existing
from app.cli.failures import reports_failures
from app.cli.long_run import INTERRUPTED, Progress, count_images, run_resumable
from app.cli.options import AFTER, DRY_RUN, JSON, SELECTION, SPEED, check_id, check_owner
from app.domain.images.editing import Editor
from app.domain.maintenance.pace import AHEAD, Pace
from app.domain.maintenance.reprocess import Reprocessing, ReprocessReport, Selection


@reports_failures
def reprocess(  # noqa: PLR0913 - all options of the command
    *,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale", help="Images with variants of another recipe or focal point.", rich_help_panel=SELECTION
        ),
    ] = False,
    failed: Annotated[
        bool,
        typer.Option(
            "--failed",
            help="Images that failed by a fault of the service: timeout, crashed, memory, attempts_exhausted.",
            rich_help_panel=SELECTION,
        ),
    ] = False,
    all_images: Annotated[
        bool, typer.Option("--all", help="Every image, ready or failed.", rich_help_panel=SELECTION)
    ] = False,
    all_codes: Annotated[
        bool,
        typer.Option("--all-codes", help="With --failed: for every cause.", rich_help_panel=SELECTION),
    ] = False,
    owner: Annotated[str | None, typer.Option(help="Only images of this owner.", rich_help_panel=SELECTION)] = None,
    after: Annotated[str | None, AFTER] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Images a minute at most.", rich_help_panel=SPEED)] = None,
    ahead: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="Images in the queue or in work at a time. Uploads go first.",
            rich_help_panel=SPEED,
        ),
    ] = AHEAD,
    dry_run: Annotated[bool, DRY_RUN] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Render images again. They keep their variants until the new ones are ready.

    Examples:

    darkroom reprocess --stale --dry-run

    darkroom reprocess --stale --rate 60

    darkroom reprocess --failed --all-codes --owner ann

    It waits while the queue is full, and ends when the last image is in it.
    Ctrl-C ends it too, and prints the --after to continue with.

    Exit codes: 0 done, 2 wrong usage, 3 a store does not answer, 4 a right
    is missing, 130 interrupted.
    """  # fmt: skip
    selection = _chosen(stale=stale, failed=failed, all_images=all_images)
    if all_codes and selection is not Selection.FAILED:
        raise typer.BadParameter("only with --failed", param_hint="--all-codes")
    after, owner = check_id(after), check_owner(owner)
    settings, backends = open_existing()
    editor = Editor(backends.images, backends.queue, backends.renderings)
    pace = Pace(backends.images, backends.queue, ahead=ahead, per_minute=rate)
    run = Reprocessing(
        backends.images, editor, pace, settings.recipe, selection, all_codes=all_codes, owner=owner
    )  # fmt: skip
    report = run.report
    again = f"reprocess --{selection}{' --all-codes' * all_codes}{f' --owner {owner}' if owner else ''}"
    run_resumable(
        lambda pause: run.run(after=after, dry_run=dry_run, pause=pause),
        report,
        again,
        Progress("queued"),
        lambda: report.queued,
    )
    typer.echo(json.dumps(asdict(report)) if as_json else _summary(report, dry_run=dry_run))
    raise typer.Exit(0 if report.complete else INTERRUPTED)


def _chosen(*, stale: bool, failed: bool, all_images: bool) -> Selection:
    given = {Selection.STALE: stale, Selection.FAILED: failed, Selection.ALL: all_images}
    chosen = [selection for selection, is_given in given.items() if is_given]
    if len(chosen) != 1:
        raise typer.BadParameter("give one of --stale, --failed and --all")
    return chosen[0]


def _summary(report: ReprocessReport, *, dry_run: bool) -> str:
    counts = [f"{report.queued:,} {'to queue' if dry_run else 'queued'}"]
    counts += [f"{report.in_progress:,} in progress"] if report.in_progress else []
    counts += [f"{report.skipped:,} skipped"] if report.skipped else []
    return f"{count_images(report.looked_at)}: {', '.join(counts)}"
