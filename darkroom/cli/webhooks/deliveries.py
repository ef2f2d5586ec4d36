"""`darkroom delivery list|redeliver`."""

from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer

from darkroom import Client
from darkroom.cli.console import write_json, write_line
from darkroom.cli.images.options import SELECTION, Json, Url, read_time
from darkroom.cli.images.session import for_each, session
from darkroom.cli.options import DEFAULT_URL
from darkroom.cli.webhooks.lines import write_delivery

_PAGE = 100


class DeliveryStatus(StrEnum):
    """State of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"


Endpoint = Annotated[
    str | None, typer.Option("--endpoint", metavar="ID", help="To this endpoint.", rich_help_panel=SELECTION)
]
StatusFilter = Annotated[
    DeliveryStatus | None, typer.Option("--status", help="With this status.", rich_help_panel=SELECTION)
]

deliveries = typer.Typer(no_args_is_help=True, add_completion=False, help="Deliveries of webhooks.")


@deliveries.callback()
def _group() -> None:
    """Deliveries of webhooks. The key in DARKROOM_API_KEY needs the scope admin."""


@deliveries.command("list")
def list_deliveries(
    *,
    endpoint: Endpoint = None,
    status: StatusFilter = None,
    event: Annotated[str | None, typer.Option(metavar="ID", help="Of this event.", rich_help_panel=SELECTION)] = None,
    image: Annotated[
        str | None, typer.Option(metavar="ID", help="Of events of this image.", rich_help_panel=SELECTION)
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="Number of deliveries at most.", rich_help_panel=SELECTION),
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List deliveries, the newest first.

    Examples:

    darkroom delivery list --status dead

    darkroom delivery list --endpoint whe_01a2121118a97bc8801bcadcca2023b7 --limit 20

    A line has the id, the status, the type of the event, its time, and what
    the endpoint answered last.

    Exit codes: 0 done, 2 wrong usage, 3 the server cannot be reached, 4 not
    allowed, 130 interrupted.
    """
    given = {"endpoint": endpoint, "status": status and status.value, "event": event, "image": image}
    filters: Any = {name: value for name, value in given.items() if value}
    count = 0
    with session(url) as client:
        for delivery in islice(client.deliveries(page_size=min(limit or _PAGE, _PAGE), **filters), limit):
            if not (write_json(delivery.raw) if as_json else write_delivery(delivery)):
                return
            count += 1
    if not as_json:
        found = f"{count:,} {'delivery' if count == 1 else 'deliveries'}" if count else "no deliveries found"
        write_line(found, error=True)


@deliveries.command()
def redeliver(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids of deliveries.", rich_help_panel=SELECTION)
    ] = None,
    *,
    endpoint: Endpoint = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Events at this time or later: 2026-11-22T10:00.", rich_help_panel=SELECTION),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Events before this time.", rich_help_panel=SELECTION)
    ] = None,
    status: StatusFilter = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Send deliveries again: some, or those of an endpoint in a range of time.

    A range selects dead deliveries, unless --status names others.

    Examples:

    darkroom delivery redeliver ID

    darkroom delivery redeliver --endpoint ID --since 2026-11-28 --until 2026-11-29

    Exit codes: 0 done, 1 no such delivery, 2 wrong usage, 3 the server cannot
    be reached, 4 not allowed, 130 interrupted.
    """
    if ids:
        if endpoint or since or until or status:
            raise typer.BadParameter("name deliveries, or an endpoint and a range of time, not both")
        with session(url) as client:

            def work(delivery_id: str) -> None:
                again = client.redeliver(delivery_id)
                write_json(again.raw) if as_json else write_delivery(again)

            for_each(ids, work)
        return
    if not (endpoint and since and until):
        raise typer.BadParameter("name deliveries, or all of --endpoint, --since and --until")
    begin, end = read_time(since, "since"), read_time(until, "until")
    with session(url) as client:
        count = _redeliver_range(client, endpoint, begin, end, status)
    if as_json:
        write_json({"count": count})
    else:
        write_line(f"{count:,} {'delivery is' if count == 1 else 'deliveries are'} sent again")


def _plain(status: DeliveryStatus) -> Any:
    """Return the status as the client takes it."""
    return status.value


def _redeliver_range(
    client: Client, endpoint: str, since: datetime, until: datetime, status: DeliveryStatus | None
) -> int:
    count = 0
    while True:
        sent = client.redeliver_range(endpoint, since, until, status=None if status is None else _plain(status))
        count += sent.count
        if sent.until is None:
            return count
        until = sent.until
