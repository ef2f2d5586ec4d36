"""`darkroom export` and `darkroom import`: a whole installation in a folder."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

import typer
from rich.filesize import decimal

from app import __version__
from app.bootstrap import Backends, build_limits, open_backends
from app.cli.backends import load_settings, open_existing
from app.cli.failures import DONE, INTERRUPTED, NOT_DONE, reports_failures
from app.cli.long_run import Progress, Stop, count_images
from app.cli.options import JSON, check_owner
from app.domain.errors import Invalid
from app.domain.maintenance.transfer.adopt import Adoption
from app.domain.maintenance.transfer.export import Export
from app.domain.maintenance.transfer.folder import FolderError, open_source, open_target
from app.domain.maintenance.transfer.manifest import MANIFEST
from app.domain.maintenance.transfer.report import AdoptReport, ExportReport, RestoreReport
from app.domain.maintenance.transfer.restore import Restore
from app.domain.models import ANONYMOUS, Visibility
from app.domain.text import shown
from app.domain.uploads.descriptions import Description
from app.domain.uploads.service import Uploads
from app.settings import Settings

_FIELDS = "Fields"

TARGET = typer.Argument(metavar="DIR", help="Folder to write to: empty, or of an earlier export.", show_default=False)
SOURCE = typer.Argument(metavar="DIR", help="Export, or any folder of images.", show_default=False)


class _Report(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]
    complete: bool

    @property
    def is_good(self) -> bool: ...


R = TypeVar("R", bound=_Report)


@reports_failures
def export(folder: Annotated[Path, TARGET], *, as_json: Annotated[bool, JSON] = False) -> None:
    """Export all images into a folder: records, originals and variants.

    Examples:

    darkroom export /srv/backup/darkroom

    darkroom export moved --json

    darkroom export moved && DARKROOM_STORAGE_URL=... darkroom import moved

    It can run while the service runs. A second run into the same folder
    writes only what is missing or has changed, and the earlier export stays
    valid until it has finished. Images in the trash are included. Deleted
    images, and uploads whose bytes have not arrived, are not.

    Exit codes: 0 done, 1 not everything could be exported, 2 wrong settings,
    3 a store does not answer, 4 a right is missing, 130 interrupted.
    """
    settings, backends = open_existing()
    _check_place(settings, folder, "export to")
    with open_target(folder) as target:
        run = Export(backends.store, backends.images, target, source=settings.storage_url, version=__version__)
        _finish(
            lambda stop, progress: run.run(is_stopped=stop, progress=progress, on_problem=_say_reason),
            as_json,
            _exported,
            "exported",
        )


@reports_failures
def import_(
    folder: Annotated[Path, SOURCE],
    *,
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Owner of the images of a folder that is no export. Required if API keys are required.",
            rich_help_panel=_FIELDS,
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Tag of these images. Can be repeated.", rich_help_panel=_FIELDS)
    ] = None,
    visibility: Annotated[
        Visibility | None, typer.Option(help="Visibility of these images.", rich_help_panel=_FIELDS)
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Import an export, or all images of any folder.

    Examples:

    darkroom import moved

    darkroom import /srv/photos --owner ann --tag 2026

    darkroom import moved --json

    Images of an export keep their ids, records and bytes, and unfinished ones
    are processed. An id that exists with other bytes, or was deleted here, is
    refused. Images of another folder are stored like uploads, without those
    that their owner has. It can run while the service runs. Run it again to
    continue after an interruption.

    Exit codes: 0 done, 1 something was refused, 2 wrong usage or settings,
    3 a store does not answer, 4 a right is missing, 130 interrupted.
    """
    owner = check_owner(owner)
    description = _described(tag, visibility)
    settings = load_settings()
    _check_place(settings, folder, "import")
    with open_source(folder) as source:
        if source.read_manifest() is not None:
            if owner or tag or visibility:
                raise typer.BadParameter("an export has the owner and the fields of each image", param_hint="--owner")
            backends = open_backends(settings)
            restore = Restore(backends.store, backends.images, backends.queue, backends.renderings, source)
            _finish(
                lambda stop, progress: restore.run(is_stopped=stop, progress=progress, on_refused=_say_reason),
                as_json,
                _restored,
                "imported",
            )
            return
        _check_foreign(folder)
        image_owner = _image_owner(owner, settings)
        adoption = _adoption(settings, open_backends(settings), source.root, image_owner, description)
        _finish(
            lambda stop, progress: adoption.run(is_stopped=stop, progress=progress, on_refused=_say_reason),
            as_json,
            _adopted,
            "files",
        )


def _check_place(settings: Settings, folder: Path, action: str) -> None:
    """Refuse a folder in the data folder of the installation, and one around it."""
    if settings.self_hosted:
        data, given = settings.data_folder.resolve(), folder.resolve()
        if data == given or data in given.parents or given in data.parents:
            cause = f"it is, contains or is in the data folder {data}"
            raise FolderError(f"cannot {action} {folder}", cause, "name another folder")


def _check_foreign(folder: Path) -> None:
    """Refuse folders whose images have records that would be lost."""
    if (folder / "darkroom.db").is_file():
        remedy = f"run `darkroom export` with DARKROOM_STORAGE_URL=file:{folder}, and import the export"
        raise FolderError(f"cannot import {folder}", "it is the data folder of an installation", remedy)
    if any(folder.glob("records-*.jsonl")):
        raise FolderError(f"{folder} is damaged", f"an export without its {MANIFEST}", "copy the export again")


def _image_owner(owner: str | None, settings: Settings) -> str:
    if owner is None and settings.auth == "required":
        raise typer.BadParameter("required for images when API keys are required", param_hint="--owner")
    return owner or ANONYMOUS


def _described(tags: list[str] | None, visibility: Visibility | None) -> Description:
    try:
        return Description.parse({"tags": tags or [], "visibility": visibility and visibility.value})
    except Invalid as error:
        raise typer.BadParameter(error.detail, param_hint="--tag") from None


def _adoption(settings: Settings, backends: Backends, root: Path, owner: str, description: Description) -> Adoption:
    uploads = Uploads(backends.store, backends.images, default_visibility=settings.visibility)
    return Adoption(backends.store, uploads, build_limits(settings), root, owner=owner, description=description)


def _finish(
    run: Callable[[Callable[[], bool], Callable[[int, str], None]], R],
    as_json: bool,
    summarize: Callable[[R], str],
    what: str,
) -> None:
    """Run until the end or a signal, print the report, and exit."""
    stop, progress = Stop(), Progress(what)
    try:
        with stop.on_signals():
            report = run(lambda: stop.wait(0), progress.show)
    finally:
        progress.end()
    if not report.complete:
        typer.echo("Interrupted. Run the command again to continue.", err=True)
    typer.echo(json.dumps(asdict(report)) if as_json else summarize(report))
    raise typer.Exit((DONE if report.is_good else NOT_DONE) if report.complete else INTERRUPTED)


def _say_reason(name: str, reason: str) -> None:
    typer.echo(f"{shown(name)}: {shown(reason)}", err=True)


def _exported(report: ExportReport) -> str:
    counts = [f"{report.copied:,} files written ({decimal(report.copied_bytes)})", f"{report.unchanged:,} unchanged"]
    return _summary(
        count_images(report.images),
        counts,
        {
            "uploads unfinished": report.unfinished,
            "originals missing": report.originals_missing,
            "without variants": report.variants_missing,
            "originals damaged": report.damaged,
            "failed": report.failed,
        },
    )


def _restored(report: RestoreReport) -> str:
    counts = [f"{report.restored:,} new ({decimal(report.stored_bytes)})", f"{report.unchanged:,} known"]
    optional = {
        "completed": report.completed, "variants damaged": report.damaged_variants, "refused": report.refused
    }  # fmt: skip
    return _summary(count_images(report.images), counts, optional, report.first_refusal)


def _adopted(report: AdoptReport) -> str:
    counts = [f"{report.new:,} new ({decimal(report.stored_bytes)})", f"{report.known:,} known"]
    files = f"{report.files:,} {'file' if report.files == 1 else 'files'}"
    optional = {"ignored (not images)": report.ignored, "refused": report.refused}
    return _summary(files, counts, optional, report.first_refusal)


def _summary(subject: str, counts: list[str], optional: dict[str, int], first: str | None = None) -> str:
    """Return the counts in one line. Optional ones are left out if they are zero; `first` explains the last of them."""
    shown_counts = counts + [f"{count:,} {name}" for name, count in optional.items() if count]
    reason = f" ({shown(first)})" if first else ""
    return f"{subject}: {', '.join(shown_counts)}{reason}"
