"""`darkroom reconcile` and `redrive`: repair records, adopt or remove orphans, send failed events again."""

import json
import re
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from app.cli.backends import open_existing
from app.cli.failures import reports_failures
from app.cli.options import JSON
from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.images.notifications import images_named
from app.domain.maintenance.lost_wake_ups import repeat_wake_ups
from app.domain.maintenance.orphans import GRACE, Orphan, Orphans
from app.domain.maintenance.reconcile import Reconciler
from app.domain.maintenance.recount import run_recount
from app.domain.maintenance.report import Report
from app.domain.models import ANONYMOUS, Image
from app.domain.ports import ImageRepository

_YEAR_MINUTES = 366 * 24 * 60
_GRACE_MINUTES = GRACE // timedelta(minutes=1)


@reports_failures
def reconcile(
    *,
    remove_orphans: Annotated[
        bool, typer.Option("--remove-orphans", help="Delete objects without a record. Asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Write records for originals without one and process them.")
    ] = False,
    owner: Annotated[
        str | None, typer.Option(help="Owner of adopted images. Required if API keys are required.")
    ] = None,
    grace_minutes: Annotated[
        int,
        typer.Option(
            min=0,
            max=_YEAR_MINUTES,
            help="Ignore younger objects: their request may still be running.",
        ),
    ] = _GRACE_MINUTES,
    requeue_minutes: Annotated[
        int,
        typer.Option(min=0, max=_YEAR_MINUTES, help="Process pending images older than this again; 0: all."),
    ] = 15,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Repair records after a crash, and report objects without a record.

    Examples:

    darkroom reconcile

    darkroom reconcile --adopt --owner ann --grace-minutes 0

    darkroom reconcile --remove-orphans --yes --json

    Exit codes: 0 done, 1 something could not be repaired or was not agreed,
    2 wrong usage or settings, 3 a store does not answer, 4 a right is missing,
    130 interrupted.
    """
    settings, backends = open_existing()
    if adopt:
        owner = _checked_owner(owner, keys_required=settings.auth == "required")
    report = Reconciler(backends.store, backends.images, backends.queue, backends.renderings).run(
        requeue_after=timedelta(minutes=requeue_minutes)
    )
    orphans = Orphans(backends.store, backends.images, backends.queue)
    found = _found(orphans, report, grace_minutes)
    if adopt and owner:
        found = [orphan for orphan in found if not orphans.adopt(orphan, owner, report)]
        found = _without_adopted(found, backends.images)
    refused = False
    if remove_orphans and found:
        refused = not (yes or _agreed(found, known=orphans.known))
        if not refused:
            for orphan in found:
                orphans.remove(orphan, report)
    elif found and not adopt:
        _say("Add --adopt to write records for these originals, or --remove-orphans to delete the objects.")
    repeat_wake_ups(backends.webhooks, report)
    run_recount(backends.recount, report)
    typer.echo(json.dumps(asdict(report)) if as_json else str(report))
    raise typer.Exit(1 if report.errors or refused else 0)


@reports_failures
def redrive(*, as_json: Annotated[bool, JSON] = False) -> None:
    """Process images again whose events failed in all attempts. Repair the cause first.

    Examples:

    darkroom redrive

    darkroom redrive --json

    One event is sent per image, even if several of its events failed.

    Exit codes: 0 done, 2 wrong settings, 3 a store does not answer, 4 a right
    is missing.
    """
    _, backends = open_existing()
    sent = backends.queue.redrive(images_named)
    typer.echo(json.dumps({"sent": sent}) if as_json else f"images sent again: {sent}")


def _checked_owner(owner: str | None, *, keys_required: bool) -> str:
    if owner is None:
        if keys_required:
            raise typer.BadParameter("required with --adopt when API keys are required", param_hint="--owner")
        return ANONYMOUS
    if not re.fullmatch(OWNER_PATTERN, owner):
        raise typer.BadParameter(f"{owner!r} is not a valid owner", param_hint="--owner")
    return owner


def _found(orphans: Orphans, report: Report, grace_minutes: int) -> list[Orphan]:
    found = []
    for orphan in orphans.find(report, grace=timedelta(minutes=grace_minutes)):
        found.append(orphan)
        deleted = ", of a deleted image" if orphan.deleted else ""
        _say(f"orphan: {orphan.object.key} ({orphan.object.size} bytes{deleted})")
    if report.orphans_young:
        _say(
            f"Not listed: {report.orphans_young} objects younger than {grace_minutes} minutes, as a running request "
            "may be about to write their record. If no request runs, for example after a restore, add "
            "--grace-minutes 0."
        )
    return found


def _without_adopted(found: list[Orphan], images: ImageRepository) -> list[Orphan]:
    """Leave out variants whose original has been adopted: they are no longer orphans."""
    return [orphan for orphan in found if orphan.image_id is None or not isinstance(images.get(orphan.image_id), Image)]


def _agreed(found: list[Orphan], *, known: int) -> bool:
    """Ask for confirmation to delete the orphans. Return False if there is no terminal."""
    if not known:
        _say(
            "None of the objects has a record in this database. Check that DARKROOM_DATABASE_URL belongs to "
            "DARKROOM_STORAGE_URL."
        )
    size = sum(orphan.object.size for orphan in found)
    try:
        return typer.confirm(f"Delete these {len(found)} objects ({size:,} bytes) permanently?", err=True)
    except typer.Abort:
        _say("\nNothing was deleted. Add --yes to delete without asking.")
        return False


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
