"""Types of the events that webhook endpoints receive."""

from enum import StrEnum


class EventType(StrEnum):
    """Type of an event, as in the body of a request."""

    UPLOADED = "image.uploaded"
    READY = "image.ready"
    FAILED = "image.failed"
    UPDATED = "image.updated"
    DELETED = "image.deleted"


#: Type of the event that tests an endpoint. It is sent on request only, to one endpoint, regardless of its `events`.
TEST_EVENT = "webhook.test"
#: Entry of `events` that stands for every type, including those of later versions.
ALL_EVENTS = "*"
