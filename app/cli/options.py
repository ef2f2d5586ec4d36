"""Options that several operator commands have."""

import re

import typer

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.ids import is_id

#: Groups of options in the help text.
SELECTION, SPEED, OUTPUT = "Selection", "Speed", "Output"

AFTER = typer.Option(help="Continue after the image with this id.", metavar="ID", rich_help_panel=SELECTION)
DRY_RUN = typer.Option("--dry-run", help="Count the images and change nothing.", rich_help_panel=OUTPUT)
JSON_LINES = typer.Option("--json", help="Print one JSON object per line.", rich_help_panel=OUTPUT)
JSON = typer.Option("--json", help="Print the report as JSON.", rich_help_panel=OUTPUT)


def check_id(text: str | None) -> str | None:
    """Return the id. Raises `BadParameter` for a text that is none."""
    if text is not None and not is_id(text):
        raise typer.BadParameter(f"{text[:80]!r} is not the id of an image", param_hint="--after")
    return text


def check_owner(name: str | None, hint: str = "--owner") -> str | None:
    """Return the owner. Raises `BadParameter` for a name that no owner can have."""
    if name is not None and not re.fullmatch(OWNER_PATTERN, name):
        raise typer.BadParameter(f"{name[:80]!r} is not a valid owner", param_hint=hint)
    return name
