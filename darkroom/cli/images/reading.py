"""`darkroom list`, `show`, `similar` and `stats`."""

from dataclasses import asdict, fields
from itertools import islice
from typing import Annotated, Any

import typer

from darkroom.cli.console import write_json, write_line
from darkroom.cli.image_file import printable
from darkroom.cli.images.filenames import full_name
from darkroom.cli.images.lines import format_bytes, format_time, get_dimensions, write_image
from darkroom.cli.images.options import (
    OUTPUT,
    SELECTION,
    After,
    Before,
    ContentType,
    Ids,
    Json,
    Limit,
    OneId,
    Order,
    Owner,
    StatusFilter,
    Tags,
    Trashed,
    Url,
    VisibilityFilter,
    build_filters,
    read_ids,
)
from darkroom.cli.images.session import for_each, session
from darkroom.cli.options import DEFAULT_URL
from darkroom.records import FormatStats, Image, Stats, Variant

_PAGE = 100


def list_images(  # noqa: PLR0913 - all options of the command
    *,
    tag: Tags = None,
    status: StatusFilter = None,
    content_type: ContentType = None,
    visibility: VisibilityFilter = None,
    uploaded_after: After = None,
    uploaded_before: Before = None,
    trashed: Trashed = False,
    owner: Owner = None,
    order: Annotated[Order, typer.Option(help="Newest (desc) or oldest (asc) first.", rich_help_panel=OUTPUT)] = (
        Order.NEWEST
    ),
    limit: Limit = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List images, the newest first.

    Examples:

    darkroom list --limit 20

    darkroom list --tag sea --uploaded-after 2026-11-01

    darkroom list --status failed | darkroom delete - --yes

    A line has the id, the status, the size in pixels, the name and the tags.
    With --json it is the whole record.

    Exit codes: 0 done, 2 wrong usage, 3 the server cannot be reached, 4 not
    allowed, 130 interrupted.
    """
    filters = build_filters(
        tag=tag,
        status=status,
        content_type=content_type,
        visibility=visibility,
        uploaded_after=uploaded_after,
        uploaded_before=uploaded_before,
        trashed=trashed,
        owner=owner,
        order=order,
    )
    count = 0
    with session(url) as client:
        for image in islice(client.images(page_size=min(limit or _PAGE, _PAGE), **filters), limit):
            if not (write_json(image.raw) if as_json else write_image(image)):
                return
            count += 1
    if not as_json:
        write_line(f"{count:,} {'image' if count == 1 else 'images'}" if count else "no images found", error=True)


def show(
    ids: Ids,
    *,
    wait: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="Seconds to wait until the image is processed.", rich_help_panel=SELECTION
        ),
    ] = 0,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Show the record of an image.

    Examples:

    darkroom show 01a21211-8a9b-7bc8-801b-cadcca2023b7

    darkroom show 01a21211-8a9b-7bc8-801b-cadcca2023b7 --wait 60 --json

    darkroom list --tag sea | darkroom show -

    Exit codes: 0 done, 1 no such image, 2 wrong usage, 3 the server cannot
    be reached, 4 not allowed, 130 interrupted.
    """
    wanted = read_ids(ids)
    with session(url) as client:

        def work(image_id: str) -> None:
            image = client.get(image_id, wait=wait)
            if as_json:
                write_json(image.raw)
                return
            for name, value in _described(image):
                write_line(f"{name:<11} {printable(value)}")
            if image_id != wanted[-1]:
                write_line("")

        for_each(wanted, work)


def similar(
    image_id: OneId,
    *,
    max_distance: Annotated[
        int,
        typer.Option(
            min=0, max=10, metavar="N", help="Bits in which the hashes may differ.", rich_help_panel=SELECTION
        ),
    ] = 6,
    limit: Annotated[
        int, typer.Option(min=1, max=200, metavar="N", help="Number of images at most.", rich_help_panel=SELECTION)
    ] = 50,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List the look-alikes of an image, the closest first.

    Examples:

    darkroom similar 01a21211-8a9b-7bc8-801b-cadcca2023b7

    darkroom similar 01a21211-8a9b-7bc8-801b-cadcca2023b7 --max-distance 2

    darkroom similar 01a21211-8a9b-7bc8-801b-cadcca2023b7 --json

    A line begins with the distance: the number of bits, of 64, in which the
    perceptual hashes differ.

    Exit codes: 0 done, 1 no such image, 2 wrong usage, 3 the server cannot
    be reached, 4 not allowed, 130 interrupted.
    """
    (wanted,) = read_ids([image_id])
    with session(url) as client:
        found = client.similar(wanted, max_distance=max_distance, limit=limit)
    for item in found.items:
        if as_json:
            write_json({"distance": item.distance, **item.image.raw})
        else:
            write_image(item.image, prefix=f"{item.distance:<2} ")
    if not found.comparable:
        write_line("The image is nearly uniform, so it is not compared with others.", error=True)
    elif not found.items:
        write_line("no look-alikes found", error=True)
    elif not found.complete:
        write_line("There can be more look-alikes.", error=True)


def stats(
    *,
    owner: Owner = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Show how many images there are, and their sizes.

    Examples:

    darkroom stats

    darkroom stats --json

    darkroom stats --owner ann

    Exit codes: 0 done, 2 wrong usage, 3 the server cannot be reached, 4 not
    allowed, 130 interrupted.
    """
    with session(url) as client:
        found = client.stats(owner)
    if as_json:
        write_json({field.name: _plain(getattr(found, field.name)) for field in fields(Stats)})
        return
    states = f"{found.ready:,} ready, {found.pending:,} pending, {found.failed:,} failed"
    lines = {
        "owner": printable(found.owner),
        "images": f"{found.images:,} ({states}{'' if found.exact else ', about'})",
        "originals": format_bytes(found.original_bytes),
        "variants": format_bytes(found.variant_bytes),
        **{each.format: _saving(each) for each in found.formats},
        "trash": f"{found.trashed:,} ({format_bytes(found.trashed_bytes)})",
    }
    for name, value in lines.items():
        write_line(f"{name:<11} {value}")


def _saving(found: FormatStats) -> str:
    """Compare the largest variants in one format with their originals."""
    share = 100 * found.largest_bytes / found.original_bytes if found.original_bytes else 0
    sent = f"{format_bytes(found.largest_bytes)} as the largest variant ({share:.0f} %)"
    return (
        f"{format_bytes(found.original_bytes)} of originals, {sent}, {format_bytes(found.variant_bytes)} in all sizes"
    )


def _described(image: Image) -> list[tuple[str, str]]:
    """Return the members of a record that have a value, for people."""
    failure = image.error or image.reprocess_error
    described = {
        "id": image.id,
        "status": f"{image.status}{f' ({failure.code}: {failure.detail})' if failure else ''}",
        "file": image.filename,
        "image": ", ".join(filter(None, (image.content_type, get_dimensions(image), format_bytes(image.bytes)))),
        "title": image.title,
        "alt": image.alt,
        "tags": ", ".join(image.tags),
        "metadata": ", ".join(f"{name}={value}" for name, value in image.metadata.items()),
        "visibility": image.visibility,
        "owner": image.owner,
        "focal point": image.focal_point and f"{image.focal_point.x:g},{image.focal_point.y:g}",
        "uploaded": format_time(image.uploaded_at),
        "taken": image.taken_at and f"{image.taken_at:%Y-%m-%d %H:%M}",
        "camera": image.camera,
        "trashed": format_time(image.trashed_at),
        "sha256": image.sha256,
    }
    variants = [("variant", "  ".join(_facts(each))) for each in image.variants]
    return [(name, value) for name, value in described.items() if value] + variants


def _facts(variant: Variant) -> list[str]:
    facts = [full_name(variant), f"{variant.width}×{variant.height}", format_bytes(variant.bytes)]
    return facts if variant.quality is None else [*facts, f"quality {variant.quality}"]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [asdict(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
