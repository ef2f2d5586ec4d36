"""`darkroom redrive`: failed events of the queue, sent again."""

import typer

from app.cli.backends import open_existing
from app.cli.failures import reports_failures
from app.domain.images.notifications import images_named


@reports_failures
def redrive() -> None:
    """Process images again whose events failed in all attempts. Repair the cause first.

    One event is sent per image, even if several of its events failed.
    """
    _, backends = open_existing()
    typer.echo(f"images sent again: {backends.queue.redrive(images_named)}")
