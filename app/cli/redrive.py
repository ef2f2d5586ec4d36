"""`darkroom redrive`: failed events of the queue, sent again."""

import json
from typing import Annotated

import typer

from app.cli.backends import open_existing
from app.cli.failures import reports_failures
from app.cli.options import JSON
from app.domain.images.notifications import images_named


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
