"""JSON schemas of the request bodies of webhooks."""

from typing import Any

from app.domain.access.api_keys import OWNER_PATTERN
from app.domain.delivery.deliveries import DeliveryStatus
from app.domain.delivery.endpoint_fields import DESCRIPTION_CHARACTERS, EVENT_NAMES, MAX_EVENTS
from app.domain.delivery.targets import URL_CHARACTERS

#: Deliveries with these statuses can be sent again.
REPEATABLE = [str(each) for each in DeliveryStatus if each is not DeliveryStatus.PENDING]

_FIELDS: dict[str, Any] = {
    "url": {
        "type": "string",
        "format": "uri",
        "minLength": 1,
        "maxLength": URL_CHARACTERS,
        "description": "Where to send events: `https:`, without user, password and fragment. Addresses of private "
        "networks are refused.",
    },
    "events": {
        "type": ["array", "null"],
        "minItems": 1,
        "maxItems": MAX_EVENTS,
        "items": {"type": "string", "enum": list(EVENT_NAMES)},
        "default": ["*"],
        "description": "Types of events to send; `*` or null: every type.",
    },
    "owner": {
        "type": ["string", "null"],
        "pattern": OWNER_PATTERN,
        "default": None,
        "description": "Events of this owner's images only; null: of every owner.",
    },
    "description": {
        "type": ["string", "null"],
        "maxLength": DESCRIPTION_CHARACTERS,
        "default": None,
        "description": "Says what the endpoint is for.",
    },
}
WEBHOOK_BODY: dict[str, Any] = {
    "type": "object",
    "title": "WebhookBody",
    "description": "The webhook endpoint to create.",
    "required": ["url"],
    "additionalProperties": False,
    "properties": _FIELDS,
}
WEBHOOK_PATCH: dict[str, Any] = {
    "type": "object",
    "title": "WebhookPatch",
    "description": "Fields of a webhook endpoint to change, as a JSON merge patch.",
    "additionalProperties": False,
    "properties": {
        **{name: {key: value for key, value in field.items() if key != "default"} for name, field in _FIELDS.items()},
        "enabled": {
            "type": "boolean",
            "description": "False: nothing is sent. True also ends a pause, and enables an endpoint that answered 410.",
        },
    },
}
REDELIVERY_BODY: dict[str, Any] = {
    "type": "object",
    "title": "RedeliveryBody",
    "description": "Deliveries to send again.",
    "required": ["endpoint", "since", "until"],
    "additionalProperties": False,
    "properties": {
        "endpoint": {"type": "string", "description": "Id of the endpoint."},
        "since": {"type": "string", "format": "date-time", "description": "Events at this time or later."},
        "until": {"type": "string", "format": "date-time", "description": "Events before this time."},
        "status": {
            "type": ["string", "null"],
            "enum": [*REPEATABLE, None],
            "default": str(DeliveryStatus.DEAD),
            "description": "Deliveries with this status.",
        },
    },
}
