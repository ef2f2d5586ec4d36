"""`darkroom webhook create|list|edit|test|rotate|delete`."""

import time
from typing import Annotated, Any

import typer

from darkroom import Client
from darkroom.cli.console import NOT_DONE, write_json, write_line
from darkroom.cli.image_file import to_text
from darkroom.cli.images.options import OUTPUT, SELECTION, Json, Url
from darkroom.cli.images.session import session
from darkroom.cli.options import DEFAULT_URL
from darkroom.cli.webhooks.lines import describe_attempt, write_webhook
from darkroom.webhooks.records import Delivery, Webhook

_FIELDS = "Fields"
_POLL_SECONDS = 0.5

WebhookId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of the endpoint, as `webhook list` prints it.", rich_help_panel=SELECTION),
]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event", metavar="TYPE", help="Type of events, such as image.ready. Can be repeated.", rich_help_panel=_FIELDS
    ),
]
EventOwner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", help="Events of this owner's images.", rich_help_panel=_FIELDS)
]
Description = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Says what the endpoint is for.", rich_help_panel=_FIELDS)
]

webhooks = typer.Typer(no_args_is_help=True, add_completion=False, help="Webhook endpoints.")


@webhooks.callback()
def _group() -> None:
    """Webhook endpoints. The key in DARKROOM_API_KEY needs the scope admin."""


@webhooks.command()
def create(
    to: Annotated[
        str, typer.Argument(metavar="URL", help="Where to send events: https://…", rich_help_panel=SELECTION)
    ],
    *,
    event: Events = None,
    owner: EventOwner = None,
    description: Description = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Send events of images to a url. The secret is printed only now.

    Without --event the endpoint receives every type of event, and without
    --owner those of every owner's images.

    Examples:

    darkroom webhook create https://hooks.example.com/darkroom

    darkroom webhook create https://hooks.example.com/darkroom --event image.ready

    Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the server cannot be
    reached, 4 not allowed, 130 interrupted.
    """
    with session(url) as client:
        made = client.create_webhook(
            to_text(to),
            events=[to_text(each) for each in event] if event else None,
            owner=None if owner is None else to_text(owner),
            description=None if description is None else to_text(description),
        )
    _show_secret(made, as_json=as_json)


@webhooks.command("list")
def list_webhooks(*, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List the webhook endpoints, the newest first.

    Examples:

    darkroom webhook list

    darkroom webhook list --json

    A line has the id, the status, the url, the types of events, the owner
    and the description.

    Exit codes: 0 done, 2 wrong usage, 3 the server cannot be reached, 4 not
    allowed, 130 interrupted.
    """
    count = 0
    with session(url) as client:
        for webhook in client.webhooks():
            if not (write_json(webhook.raw) if as_json else write_webhook(webhook)):
                return
            count += 1
    if not as_json:
        found = f"{count:,} {'endpoint' if count == 1 else 'endpoints'}" if count else "no endpoints found"
        write_line(found, error=True)


@webhooks.command()
def edit(
    webhook_id: WebhookId,
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Where to send events.", rich_help_panel=_FIELDS)
    ] = None,
    event: Events = None,
    owner: EventOwner = None,
    description: Description = None,
    enabled: Annotated[
        bool | None,
        typer.Option(
            "--enable/--disable", help="Send events again, also after an answer 410, or none.", rich_help_panel=_FIELDS
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Change a webhook endpoint, disable it, or enable it again.

    An empty --owner stands for every owner.

    Examples:

    darkroom webhook edit whe_01a2121118a97bc8801bcadcca2023b7 --disable

    darkroom webhook edit whe_01a2121118a97bc8801bcadcca2023b7 --event image.ready

    Exit codes: 0 done, 1 no such endpoint, 2 wrong usage, 3 the server cannot
    be reached, 4 not allowed, 130 interrupted.
    """
    given: dict[str, Any] = {
        "url": to, "events": event or None, "owner": owner, "description": description, "enabled": enabled,
    }  # fmt: skip
    changes: Any = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("name at least one field to change")
    if changes.get("owner") == "":
        changes["owner"] = None
    with session(url) as client:
        changed = client.edit_webhook(webhook_id, **changes)
    if as_json:
        write_json(changed.raw)
    else:
        write_webhook(changed)


@webhooks.command("test")
def send_test(
    webhook_id: WebhookId,
    *,
    wait: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Seconds to wait for the answer.", rich_help_panel=OUTPUT),
    ] = 30,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Send an event webhook.test to an endpoint, and show what it answers.

    Examples:

    darkroom webhook test whe_01a2121118a97bc8801bcadcca2023b7

    darkroom webhook test whe_01a2121118a97bc8801bcadcca2023b7 --wait 0

    Exit codes: 0 delivered, or sent with --wait 0, 1 no such endpoint or not
    delivered, 2 wrong usage, 3 the server cannot be reached, 4 not allowed,
    130 interrupted.
    """
    with session(url) as client:
        delivery = _wait(client, client.test_webhook(webhook_id), wait)
    if as_json:
        write_json(delivery.raw)
    elif delivery.attempts:
        write_line(f"{delivery.status}: {describe_attempt(delivery.attempts[-1])}")
    else:
        write_line(f"{delivery.status}: not sent yet")
    if wait and delivery.status != "delivered":
        raise typer.Exit(NOT_DONE)


@webhooks.command()
def rotate(webhook_id: WebhookId, *, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Give an endpoint a new secret. For 24 hours both secrets sign.

    Example:

    darkroom webhook rotate whe_01a2121118a97bc8801bcadcca2023b7

    Exit codes: 0 done, 1 no such endpoint, 2 wrong usage, 3 the server cannot
    be reached, 4 not allowed, 130 interrupted.
    """
    with session(url) as client:
        rotated = client.rotate_webhook(webhook_id)
    _show_secret(rotated, as_json=as_json)


@webhooks.command()
def delete(webhook_id: WebhookId, *, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Delete a webhook endpoint. Deliveries that are not sent yet are dropped.

    Example:

    darkroom webhook delete whe_01a2121118a97bc8801bcadcca2023b7

    Exit codes: 0 done, 1 no such endpoint, 2 wrong usage, 3 the server cannot
    be reached, 4 not allowed, 130 interrupted.
    """
    with session(url) as client:
        client.webhook(webhook_id)  # deleting an unknown one would be no error
        client.delete_webhook(webhook_id)
    if as_json:
        write_json({"id": webhook_id, "deleted": True})
    else:
        write_line(f"{webhook_id} is deleted")


def _wait(client: Client, delivery: Delivery, seconds: float) -> Delivery:
    """Return the delivery after its first attempt, or as it is after these seconds."""
    end = time.monotonic() + seconds
    while delivery.status == "pending" and not delivery.attempts and time.monotonic() < end:
        time.sleep(min(_POLL_SECONDS, seconds))
        delivery = client.delivery(delivery.id)
    return delivery


def _show_secret(webhook: Webhook, *, as_json: bool) -> None:
    if as_json:
        write_json(webhook.raw)
    else:
        write_line(webhook.secret or "")
    write_line(
        f"Give the secret to the receiver: it is shown only once. The id of the endpoint is {webhook.id}.", error=True
    )
