"""Problems of webhook endpoints and deliveries."""

from app.api.http.problem_types.problem_type import ProblemType, ProblemTypes
from app.domain.errors import Conflict, Invalid, NotFound

_EVENTS = ["*", "image.uploaded", "image.ready", "image.failed", "image.updated", "image.deleted"]

WEBHOOKS: ProblemTypes = {
    "webhook_not_found": ProblemType(
        NotFound, "No webhook endpoint has this id: `whe_` and 32 hex digits. `GET /webhooks` lists the ids."
    ),
    "no_such_delivery": ProblemType(
        NotFound,
        "No such delivery. Finished ones are kept for 30 days.",
    ),
    "too_many_endpoints": ProblemType(
        Conflict,
        "There are {measured} webhook endpoints. The limit is {limit}: delete one that is not needed.",
        {"measured": 100, "limit": 100},
    ),
    "delivery_in_progress": ProblemType(Conflict, "An attempt of this delivery is being made. Try again in a minute."),
    "webhook_disabled": ProblemType(Conflict, "The webhook endpoint is disabled. Set `enabled` to true first."),
    "bad_url": ProblemType(
        Invalid,
        "`url` must begin with https://. Example: https://hooks.example.com/darkroom.",
        {"field": "url"},
    ),
    "refused_address": ProblemType(
        Invalid,
        "`url` names the address {found}, to which this service does not connect: it is private. Use a public "
        "address. An operator can allow private ones by DARKROOM_ALLOW_PRIVATE_ADDRESSES.",
        {"field": "url", "found": "10.0.0.7"},
    ),
    "bad_events": ProblemType(
        Invalid,
        f"`events` must name at least one of {', '.join(_EVENTS)} (found: 'image.*'). `*` is every type.",
        {"field": "events", "found": "image.*", "accepted": _EVENTS},
    ),
    "bad_range": ProblemType(
        Invalid,
        "`until` must be later than `since` (found: {found}).",
        {"field": "until", "found": "2026-11-28T00:00:00+00:00"},
    ),
}
