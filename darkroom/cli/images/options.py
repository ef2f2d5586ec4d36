"""Arguments and options that several commands have."""

import sys
from collections.abc import Iterable
from datetime import date, datetime, time
from enum import StrEnum
from re import compile as pattern
from typing import Annotated, Any

import typer

from darkroom.cli.image_file import to_text
from darkroom.cli.options import Visibility

#: Groups of options in the help text.
SELECTION, CHANGES, SIZE, OUTPUT, SERVER = "Selection", "Changes", "Size", "Output", "Server"

_ID = pattern(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Status(StrEnum):
    """State of an image."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class Order(StrEnum):
    """Order of a list."""

    NEWEST = "desc"
    OLDEST = "asc"


Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID", help="Ids of images, or - for the lines of standard input.", rich_help_panel=SELECTION
    ),
]
OneId = Annotated[str, typer.Argument(metavar="ID", help="Id of the image.", rich_help_panel=SELECTION)]
Url = Annotated[str, typer.Option("--url", envvar="DARKROOM_URL", help="Url of the server.", rich_help_panel=SERVER)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.", rich_help_panel=OUTPUT)]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="With this tag. Can be repeated.", rich_help_panel=SELECTION),
]
StatusFilter = Annotated[Status | None, typer.Option("--status", help="With this status.", rich_help_panel=SELECTION)]
ContentType = Annotated[
    str | None,
    typer.Option("--content-type", metavar="TYPE", help="Of this type, such as image/jpeg.", rich_help_panel=SELECTION),
]
VisibilityFilter = Annotated[
    Visibility | None, typer.Option("--visibility", help="Private or public ones.", rich_help_panel=SELECTION)
]
After = Annotated[
    str | None,
    typer.Option(
        "--uploaded-after",
        metavar="TIME",
        help="Uploaded at this time or later: 2026-11-22, or with a time, 2026-11-22T10:00.",
        rich_help_panel=SELECTION,
    ),
]
Before = Annotated[
    str | None,
    typer.Option("--uploaded-before", metavar="TIME", help="Uploaded before this time.", rich_help_panel=SELECTION),
]
Trashed = Annotated[bool, typer.Option("--trashed", help="In the trash.", rich_help_panel=SELECTION)]
Owner = Annotated[
    str | None,
    typer.Option("--owner", metavar="NAME", help="Of this owner. Needs the scope admin.", rich_help_panel=SELECTION),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Number of images at most.", rich_help_panel=SELECTION)
]


def read_ids(given: Iterable[str]) -> list[str]:
    """Return the ids of the arguments, without duplicates.

    `-` stands for the lines of standard input, each with an id in it, as `darkroom list` prints them with and without
    `--json`. Raises `BadParameter`.
    """
    ids: dict[str, None] = {}
    for each in given:
        if each == "-":
            ids |= dict.fromkeys(_input_ids())
        elif _ID.fullmatch(each.lower()):
            ids[each.lower()] = None
        else:
            raise typer.BadParameter(f"{each[:80]!r} is not the id of an image", param_hint="ID")
    return list(ids)


def build_filters(**filters: Any) -> dict[str, Any]:
    """Return the filters of a list that are given, as the client takes them. Raises `BadParameter`."""
    for name in ("uploaded_after", "uploaded_before"):
        if filters.get(name) is not None:
            filters[name] = read_time(filters[name], name)
    return {name: _to_plain(value) for name, value in filters.items() if value}


def _to_plain(value: Any) -> Any:
    """Return the value of an option without bytes that are no text."""
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, list):
        return [to_text(each) for each in value]
    return to_text(value) if isinstance(value, str) else value


def _input_ids() -> Iterable[str]:
    if sys.stdin.isatty():
        raise typer.BadParameter("standard input is a terminal: send it ids with a pipe", param_hint="-")
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            found = _ID.search(line.lower())
            if found is None:
                raise typer.BadParameter(f"line {number} of standard input has no id of an image", param_hint="-")
            yield found[0]


def read_time(text: str, name: str) -> datetime:
    """Return the time that an option names, in the zone of the user unless it has one. Raises `BadParameter`."""
    try:
        found = datetime.fromisoformat(text) if len(text) > 10 else datetime.combine(date.fromisoformat(text), time())
    except ValueError:
        hint = f"--{name.replace('_', '-')}"
        raise typer.BadParameter(
            f"{text[:80]!r} is not a time such as 2026-11-22 or 2026-11-22T10:00", param_hint=hint
        ) from None
    return found.astimezone()
