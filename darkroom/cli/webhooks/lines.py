"""Webhook endpoints and deliveries as lines of text."""

import shutil
import sys

from darkroom.cli.console import WIDE, colored, shorten, write_line
from darkroom.cli.image_file import printable
from darkroom.cli.images.lines import format_time
from darkroom.webhooks.records import Attempt, Delivery, Webhook

_COLORS = {
    "active": "green", "paused": "yellow", "disabled": "red",
    "delivered": "green", "pending": "yellow", "dead": "red", "dropped": "red",
}  # fmt: skip


def write_webhook(webhook: Webhook) -> bool:
    """Print an endpoint in one line, or in two on a narrow terminal. Return False if nobody reads it."""
    status = colored(f"{printable(webhook.status):8}", _COLORS.get(webhook.status), sys.stdout)
    url = printable(webhook.url)
    more = [",".join(webhook.events), webhook.owner and f"owner {webhook.owner}", webhook.description]
    since = f"failing since {format_time(webhook.failing_since)}" if webhook.failing_since else None
    rest = "  ".join(printable(each) for each in (*more, since) if each)
    return _write(webhook.id, status, url, rest)


def write_delivery(delivery: Delivery) -> bool:
    """Print a delivery in one line, or in two on a narrow terminal. Return False if nobody reads it."""
    status = colored(f"{printable(delivery.status):9}", _COLORS.get(delivery.status), sys.stdout)
    last = describe_attempt(delivery.attempts[-1]) if delivery.attempts else "not sent yet"
    after = f"next {format_time(delivery.next_attempt_at)}" if delivery.next_attempt_at and delivery.attempts else ""
    rest = "  ".join(each for each in (format_time(delivery.created_at), last, after) if each)
    return _write(delivery.id, status, f"{printable(delivery.type):14}", rest)


def describe_attempt(attempt: Attempt) -> str:
    """Return the status of the answer, or why there was none, and the milliseconds."""
    return f"{attempt.status or printable(attempt.error or 'no answer')} in {attempt.ms} ms"


def _write(id_: str, status: str, name: str, rest: str) -> bool:
    id_ = printable(id_)
    if not sys.stdout.isatty():
        return write_line(f"{id_}  {status}  {name}  {rest}")
    columns = shutil.get_terminal_size().columns
    if columns < max(WIDE, len(id_) + 40):
        return write_line(f"{status}  {shorten(f'{name}  {rest}', columns - 12)}") and write_line(f"  {id_}")
    return write_line(f"{id_}  {status}  {shorten(f'{name}  {rest}', columns - len(id_) - 13)}")
