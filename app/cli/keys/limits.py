"""Options and lines that the commands for API keys in the store and in the settings share."""

from enum import StrEnum
from typing import Annotated

import typer

from app.domain.access.own_limits import OwnLimits, check_rate


class OwnLimit(StrEnum):
    """Limit of a key, as an option names it."""

    RATE_LIMIT = "rate-limit"
    QUOTA_BYTES = "quota-bytes"
    QUOTA_IMAGES = "quota-images"


def _check_rate(value: float | None) -> float | None:
    try:
        return None if value is None else check_rate(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


RateLimit = Annotated[
    float | None,
    typer.Option(callback=_check_rate, min=0, metavar="RATE", help="Requests a second with this key. 0: no limit."),
]
QuotaBytes = Annotated[
    int | None, typer.Option(min=0, metavar="BYTES", help="Most bytes that its owner may store. 0: no limit.")
]
QuotaImages = Annotated[
    int | None, typer.Option(min=0, metavar="COUNT", help="Most images that its owner may have. 0: no limit.")
]


def print_count(number: int) -> None:
    """Print the number of keys in a list, on standard error."""
    typer.echo(f"{number:,} API {'key' if number == 1 else 'keys'}" if number else "no API keys found", err=True)


def describe_limits(own: OwnLimits) -> str:
    """Return the limits of a key for people; empty if it has none of its own."""
    units = {"rate_limit": "requests/s", "quota_bytes": "bytes", "quota_images": "images"}
    return ", ".join(
        f"{value:,} {units[name]}".replace(".0 ", " ") if value else f"any number of {units[name]}"
        for name, value in own._asdict().items()
        if value is not None
    )
