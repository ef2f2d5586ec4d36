"""`darkroom edit`, `delete` and `restore`."""

import sys
from math import isfinite
from typing import Annotated, Any

import typer

from darkroom import Client, Conflict
from darkroom.cli.console import NOT_DONE, write_json, write_line
from darkroom.cli.image_file import to_text
from darkroom.cli.images.lines import write_image
from darkroom.cli.images.options import CHANGES, OUTPUT, SELECTION, Ids, Json, Url, read_ids
from darkroom.cli.images.session import for_each, session
from darkroom.cli.options import DEFAULT_URL, Visibility
from darkroom.records import Image

#: Times that an image is read and edited again that others change at the same time.
_TRIES = 5


def edit(  # noqa: PLR0913 - all options of the command
    ids: Ids,
    *,
    title: Annotated[str | None, typer.Option(help="Title; '' removes it.", rich_help_panel=CHANGES)] = None,
    alt: Annotated[str | None, typer.Option(help="Alternative text; '' removes it.", rich_help_panel=CHANGES)] = None,
    filename: Annotated[str | None, typer.Option(help="File name; '' removes it.", rich_help_panel=CHANGES)] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Replace all tags by this one; can be repeated.", rich_help_panel=CHANGES),
    ] = None,
    add_tag: Annotated[
        list[str] | None, typer.Option("--add-tag", metavar="TAG", help="Add a tag.", rich_help_panel=CHANGES)
    ] = None,
    remove_tag: Annotated[
        list[str] | None, typer.Option("--remove-tag", metavar="TAG", help="Remove a tag.", rich_help_panel=CHANGES)
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="NAME=TEXT",
            help="Set a text of your own; NAME= removes it. Can be repeated.",
            rich_help_panel=CHANGES,
        ),
    ] = None,
    focal_point: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            help="Point that crops keep, as fractions of width and height; '' removes it.",
            rich_help_panel=CHANGES,
        ),
    ] = None,
    visibility: Annotated[
        Visibility | None, typer.Option(help="Who can see the image.", rich_help_panel=CHANGES)
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Change the title, tags or other fields of images.

    Examples:

    darkroom edit 01a21211-8a9b-7bc8-801b-cadcca2023b7 --alt 'A lighthouse'

    darkroom list --tag draft | darkroom edit - --remove-tag draft

    darkroom edit 01a21211-8a9b-7bc8-801b-cadcca2023b7 --focal-point 0.5,0.2

    Exit codes: 0 all are changed, 1 at least one is not, 2 wrong usage, 3
    the server cannot be reached, 4 not allowed, 130 interrupted.
    """
    texts = {"title": title, "alt": alt, "filename": filename}
    changes: dict[str, Any] = {name: to_text(text) or None for name, text in texts.items() if text is not None}
    if tag is not None:
        if add_tag or remove_tag:
            raise typer.BadParameter("not with --add-tag or --remove-tag", param_hint="--tag")
        changes["tags"] = [to_text(each) for each in tag if each]
    if metadata:
        changes["metadata"] = _read_metadata(metadata)
    if focal_point is not None:
        changes["focal_point"] = _read_point(focal_point)
    if visibility is not None:
        changes["visibility"] = visibility.value
    if not (changes or add_tag or remove_tag):
        raise typer.BadParameter("give at least one change, such as --title")
    wanted = read_ids(ids)
    with session(url) as client:

        def work(image_id: str) -> None:
            _write(
                _edit(client, image_id, changes, list(map(to_text, add_tag or ())), remove_tag or []), as_json=as_json
            )

        for_each(wanted, work)


def delete(
    ids: Ids,
    *,
    permanent: Annotated[
        bool, typer.Option("--permanent", help="Delete for good, not to the trash.", rich_help_panel=SELECTION)
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.", rich_help_panel=OUTPUT)] = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Delete images, to the trash if there is one.

    Examples:

    darkroom delete 01a21211-8a9b-7bc8-801b-cadcca2023b7

    darkroom delete 01a21211-8a9b-7bc8-801b-cadcca2023b7 --permanent

    darkroom list --status failed | darkroom delete - --yes

    It asks first. Ids of images that are deleted already are no errors.

    Exit codes: 0 all are deleted, 1 at least one is not, 2 wrong usage, 3
    the server cannot be reached, 4 not allowed, 130 interrupted.
    """
    wanted = read_ids(ids)
    with session(url) as client:
        to_trash = bool(client.limits().trash_days) and not permanent
        if wanted and not yes and not _agreed(len(wanted), to_trash=to_trash):
            raise typer.Exit(NOT_DONE)
        state = "trashed" if to_trash else "deleted"

        def work(image_id: str) -> None:
            client.delete(image_id, permanent=permanent)
            if as_json:
                write_json({"id": image_id, "state": state})
            else:
                write_line(f"{state}  {image_id}")

        for_each(wanted, work)
    if to_trash and wanted and not as_json:
        write_line("Undo with: darkroom restore ID", error=True)


def restore(
    ids: Ids,
    *,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Restore images from the trash.

    Examples:

    darkroom restore 01a21211-8a9b-7bc8-801b-cadcca2023b7

    darkroom list --trashed

    darkroom list --trashed --tag sea | darkroom restore -

    Exit codes: 0 all are restored, 1 at least one is not, 2 wrong usage, 3
    the server cannot be reached, 4 not allowed, 130 interrupted.
    """
    wanted = read_ids(ids)
    with session(url) as client:
        for_each(wanted, lambda image_id: _write(client.restore(image_id), as_json=as_json))


def _edit(client: Client, image_id: str, changes: dict[str, Any], added: list[str], removed: list[str]) -> Image:
    """Edit an image. Tags are added and removed in its present record, without undoing changes of others."""
    if not (added or removed):
        return client.edit(image_id, **changes)
    for left in reversed(range(_TRIES)):
        image = client.get(image_id)
        tags = [tag for tag in dict.fromkeys((*image.tags, *added)) if tag not in removed]
        try:
            return client.edit(image_id, if_match=image, **changes, tags=tags)
        except Conflict as error:
            if not left or error.status != 412:
                raise
    raise AssertionError  # the loop returns or raises


def _write(image: Image, *, as_json: bool) -> None:
    if as_json:
        write_json(image.raw)
    else:
        write_image(image)


def _agreed(count: int, *, to_trash: bool) -> bool:
    """Ask for confirmation on standard error. Return False without an answer, as where there is no terminal."""
    images, their = ("1 image", "Its") if count == 1 else (f"{count:,} images", "Their")
    question = f"Move {images} to the trash?" if to_trash else f"Delete {images} for good? {their} urls stop working."
    typer.echo(f"{question} [y/N] ", err=True, nl=False)
    answer = sys.stdin.readline()
    if answer.strip().lower() in {"y", "yes"}:
        return True
    lead = "" if answer else "\n"
    write_line(f"{lead}Nothing was deleted. Add --yes to delete without asking.", error=True)
    return False


def _read_metadata(given: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for each in given:
        name, is_pair, text = each.partition("=")
        if not (name and is_pair):
            raise typer.BadParameter(f"{each[:80]!r} is not NAME=TEXT", param_hint="--metadata")
        found[to_text(name)] = to_text(text) or None
    return found


def _read_point(text: str) -> dict[str, float] | None:
    if not text:
        return None
    try:
        x, y = (float(each) for each in text.split(","))
        if not (isfinite(x) and isfinite(y)):
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"{text[:80]!r} is not a point such as 0.5,0.25", param_hint="--focal-point") from None
    return {"x": x, "y": y}
