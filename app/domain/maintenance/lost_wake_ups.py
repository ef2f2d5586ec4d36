"""Search for webhook events and deliveries whose message was lost."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime

from app.domain.delivery.backends import Webhooks
from app.domain.delivery.wake_ups import LOST_AFTER, is_overdue
from app.domain.errors import PortError
from app.domain.maintenance.report import Report
from app.domain.models import utcnow
from app.domain.ports.outbox import Outbox

log = logging.getLogger(__name__)

#: Number of messages that each run sends again even if the queue is long. Those in excess of the messages in the queue
#: are sent too, because each message may be one of them.
SENT_ANYWAY = 100


def repeat_wake_ups(
    webhooks: Webhooks | None,
    report: Report,
    *,
    is_time_left: Callable[[], bool] = lambda: True,
    now: datetime | None = None,
) -> None:
    """Send the messages of webhooks again that should have come, where a queue holds the deliveries."""
    if webhooks is None or webhooks.queue is None or webhooks.outbox is None:
        return
    now, queue, outbox = now or utcnow(), webhooks.queue, webhooks.outbox
    try:
        waiting = queue.waiting()
        for number, lost in enumerate(_find_lost(outbox, now), 1):
            if not is_time_left():
                break
            if report.webhooks_repeated < SENT_ANYWAY or number > waiting:
                queue.send(lost)
                report.webhooks_repeated += 1
    except PortError:
        log.exception("messages of webhooks were not repeated in this run")
        report.errors += 1


def _find_lost(outbox: Outbox, now: datetime) -> Iterator[str]:
    for event in outbox.unfinished(now - LOST_AFTER):
        if not event.is_dispatched:
            yield event.event_id
        yield from (delivery.id for delivery in event.deliveries if is_overdue(delivery, now))
