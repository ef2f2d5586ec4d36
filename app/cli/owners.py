"""`darkroom owner`: everything of an owner."""

import json
from typing import Annotated

import typer

from app.bootstrap import build_limits
from app.cli.backends import open_existing
from app.cli.failures import reports_failures
from app.cli.long_run import INTERRUPTED, Progress, Stop, count_images
from app.cli.options import JSON, check_owner
from app.domain.images.deletion import Deletion
from app.domain.maintenance.owner_deletion import OwnerDeletion

owners = typer.Typer(no_args_is_help=True, add_completion=False, help="Owners of images.")


@owners.callback()
def _group() -> None:
    """Owners of images."""


@owners.command()
@reports_failures
def delete(
    owner: Annotated[str, typer.Argument(help="Owner of the images.", metavar="NAME", show_default=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Delete all images of an owner permanently.

    Records, originals, variants and upload tickets are removed, also those in
    the trash.

    Examples:

    darkroom owner delete ann

    darkroom owner delete ann --yes --json

    Revoke the owner's keys first: an upload that runs at the same time can
    stay. Run the command again to continue after an interruption.

    Exit codes: 0 done, 1 not agreed or not complete, 2 wrong usage, 3 a store
    does not answer, 4 a right is missing, 130 interrupted.
    """
    check_owner(owner, "NAME")
    _, backends = open_existing()
    if not yes:
        count = sum(1 for _ in backends.images.owned(owner))
        if count and not _agreed(owner, count):
            raise typer.Exit(1)
    stop, progress = Stop(), Progress("deleted")
    with stop.on_signals():
        done = OwnerDeletion(backends.images, Deletion(backends.images, backends.renderings)).delete_all(
            owner, is_time_left=lambda: not stop.wait(0), progress=lambda deleted: progress.show(deleted, owner)
        )
    progress.end()
    interrupted = stop.wait(0)
    if not done.complete:
        typer.echo(f"{'Interrupted' if interrupted else 'Not complete'}. Run the command again to continue.", err=True)
    typer.echo(json.dumps(done._asdict()) if as_json else f"{count_images(done.deleted)} deleted permanently")
    raise typer.Exit(0 if done.complete else INTERRUPTED if interrupted else 1)


@owners.command()
@reports_failures
def recount(
    owner: Annotated[str, typer.Argument(help="Owner of the images.", metavar="NAME", show_default=False)],
    *,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Count what an owner uses of the quota, and correct it.

    On AWS it also makes the next run of reconcile recount the statistics of
    the owner.

    Self-hosted, the usage always follows the images. On AWS, images that were
    stored without a quota are not part of it: run the command for each owner
    once after a quota was set for the first time.

    Examples:

    darkroom owner recount ann

    Exit codes: 0 done, 2 wrong usage, 3 a store does not answer or the images
    keep changing, 4 a right is missing.
    """
    check_owner(owner, "NAME")
    settings, backends = open_existing()
    usage, quota = backends.counters.recount_usage(owner), build_limits(settings).quota
    if as_json:
        typer.echo(json.dumps({"owner": owner, "used_bytes": usage.bytes, "used_images": usage.images}))
        return
    typer.echo(f"{usage.bytes:,} bytes used{_of(quota.bytes)}, {count_images(usage.images)}{_of(quota.images)}")


def _of(limit: int | None) -> str:
    return "" if limit is None else f" of {limit:,}"


def _agreed(owner: str, count: int) -> bool:
    """Ask for confirmation. Return False if there is no terminal."""
    try:
        return typer.confirm(f"Delete {count_images(count)} of {owner} permanently?", err=True)
    except typer.Abort:
        typer.echo("\nNothing was deleted. Add --yes to delete without asking.", err=True)
        return False
